"""The work queue in virtual time: one entry and one worker per key, delays, backoff, shutdown."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_operator.controller.work_queue import FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, WorkQueue
from deepsynth_operator.core.errors import ClusterError
from support.clocks.virtual_time import run

Process = Callable[[str], Awaitable[float | None]]


class Recorder:
    """A process that records its calls and takes `seconds`."""

    def __init__(self, seconds: float = 0.0, results: list[float | Exception | None] | None = None) -> None:
        self.seconds, self.results = seconds, results or []
        self.calls: list[tuple[float, str]] = []
        self.active: list[str] = []
        self.max_active = 0

    async def __call__(self, key: str) -> float | None:
        assert key not in self.active
        self.active.append(key)
        self.max_active = max(self.max_active, len(self.active))
        self.calls.append((asyncio.get_running_loop().time(), key))
        await asyncio.sleep(self.seconds)
        self.active.remove(key)
        result = self.results.pop(0) if self.results else None
        if isinstance(result, Exception):
            raise result
        return result

    def get_times(self) -> list[float]:
        return [round(time, 3) for time, _ in self.calls]


def drive(process: Process, script: Callable[[WorkQueue[str]], Coroutine[Any, Any, None]], *, workers: int = 4) -> None:
    """Run a queue while `script` acts on it, then stop it."""

    async def main() -> None:
        queue = WorkQueue(process)
        task = asyncio.create_task(queue.run(workers))
        await script(queue)
        queue.stop()
        await task

    run(main())


def test_a_key_that_is_added_many_times_is_processed_once() -> None:
    recorder = Recorder()

    async def script(queue: WorkQueue[str]) -> None:
        for _ in range(5):
            queue.add("a")
        await asyncio.sleep(1)

    drive(recorder, script)
    assert recorder.calls == [(0.0, "a")]


def test_a_key_that_is_added_while_it_is_processed_is_processed_once_more() -> None:
    recorder = Recorder(seconds=10)

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await asyncio.sleep(3)
        queue.add("a")
        queue.add("a")
        await asyncio.sleep(60)

    drive(recorder, script)
    assert recorder.get_times() == [0, 10]


def test_up_to_one_key_per_worker_is_processed_at_a_time() -> None:
    recorder = Recorder(seconds=1)

    async def script(queue: WorkQueue[str]) -> None:
        for key in "abcdef":
            queue.add(key)
        await asyncio.sleep(10)

    drive(recorder, script, workers=3)
    assert recorder.max_active == 3
    assert sorted(key for _, key in recorder.calls) == list("abcdef")


def test_process_is_called_again_after_the_delay_that_it_returned() -> None:
    recorder = Recorder(results=[15.0, 30.0, None])

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await asyncio.sleep(1000)

    drive(recorder, script)
    assert recorder.get_times() == [0, 15, 45]


def test_what_is_not_done_yet_is_continued_before_others() -> None:
    recorder = Recorder(seconds=1, results=[0.0])

    async def script(queue: WorkQueue[str]) -> None:
        for key in "abc":
            queue.add(key)
        await asyncio.sleep(10)

    drive(recorder, script, workers=1)
    assert "".join(key for _, key in recorder.calls) == "abac", "b had been taken already"


def test_an_event_replaces_a_delay() -> None:
    recorder = Recorder(results=[60.0, None])

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await asyncio.sleep(10)
        queue.add("a")
        await asyncio.sleep(1000)

    drive(recorder, script)
    assert recorder.get_times() == [0, 10]


@pytest.mark.parametrize("delays", [(5, 20), (20, 5)])
def test_the_shorter_of_two_delays_counts(delays: tuple[float, float]) -> None:
    recorder = Recorder()

    async def script(queue: WorkQueue[str]) -> None:
        for delay in delays:
            queue.add_after("a", delay)
        await asyncio.sleep(100)

    drive(recorder, script)
    assert recorder.get_times() == [5]


def test_a_failing_key_backs_off_until_it_succeeds() -> None:
    failures = [ClusterError("the API server does not answer")] * 3
    recorder = Recorder(results=[*failures, 100.0, failures[0], None])

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await asyncio.sleep(1000)

    drive(recorder, script)
    assert recorder.get_times() == [0, 0.5, 1.5, 3.5, 103.5, 104.0]


def test_the_backoff_is_limited_and_separate_for_each_key() -> None:
    recorder = Recorder(results=[ClusterError("no answer")] * 40)

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await asyncio.sleep(4000)
        queue.add("b")
        await asyncio.sleep(FIRST_DELAY_SECONDS + 0.1)

    drive(recorder, script)
    times = [time for time, key in recorder.calls if key == "a"]
    assert max(later - earlier for earlier, later in pairwise(times)) == pytest.approx(MAX_DELAY_SECONDS)
    other = [time for time, key in recorder.calls if key == "b"]
    assert other == pytest.approx([4000, 4000 + FIRST_DELAY_SECONDS])


def test_a_defect_is_logged_with_its_traceback_and_an_expected_error_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder(results=[ClusterError("no answer"), ZeroDivisionError("oh"), None])

    async def script(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await asyncio.sleep(10)

    with caplog.at_level(logging.WARNING):
        drive(recorder, script)
    assert [record.exc_info is None for record in caplog.records] == [True, False]
    assert caplog.records[0].getMessage() == "a: no answer; retrying in 0.5 s"


def test_stop_waits_for_running_calls_and_starts_none() -> None:
    recorder = Recorder(seconds=10)

    async def main() -> float:
        queue = WorkQueue(recorder)
        task = asyncio.create_task(queue.run(workers=1))
        queue.add("a")
        queue.add("b")
        queue.add_after("c", 1)
        await asyncio.sleep(2)
        queue.add("a")
        queue.stop()
        queue.add("d")
        queue.add_after("e", 0)
        await task
        return asyncio.get_running_loop().time()

    assert run(main()) == 10
    assert recorder.calls == [(0.0, "a")]


def test_cancelling_run_cancels_running_calls() -> None:
    recorder = Recorder(seconds=10)

    async def main() -> float:
        task = asyncio.create_task(WorkQueue(recorder).run())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.get_running_loop().time()

    assert run(main()) == 1


QUARTERS = st.integers(0, 80).map(lambda quarters: quarters / 4)


@settings(max_examples=60)
@given(adds=st.lists(st.tuples(QUARTERS, st.sampled_from("abc"), QUARTERS), max_size=20), seconds=QUARTERS)
def test_every_added_key_is_processed_afterwards(adds: list[tuple[float, str, float]], seconds: float) -> None:
    recorder = Recorder(seconds=seconds)

    async def script(queue: WorkQueue[str]) -> None:
        loop = asyncio.get_running_loop()
        for time, key, delay in adds:
            loop.call_at(time, queue.add_after if delay else queue.add, *((key, delay) if delay else (key,)))
        await asyncio.sleep(1000)

    drive(recorder, script, workers=2)
    for time, key, _ in adds:
        assert any(called >= time and other == key for called, other in recorder.calls)


def test_on_wait_gets_the_time_that_a_key_waited_for_a_worker() -> None:
    waits: list[float] = []

    async def main() -> None:
        queue = WorkQueue(Recorder(seconds=3), waits.append)
        for key in "ab":
            queue.add(key)
        task = asyncio.create_task(queue.run(workers=1))
        await asyncio.sleep(10)
        queue.stop()
        await task

    run(main())
    assert waits == [0.0, 3.0]


def test_keys_added_before_the_workers_start_wait_from_their_start() -> None:
    async def main() -> list[float]:
        waits: list[float] = []
        queue = WorkQueue(Recorder(), waits.append)
        queue.add("a")
        await asyncio.sleep(100)
        task = asyncio.create_task(queue.run(1))
        await asyncio.sleep(1)
        task.cancel()
        return waits

    assert run(main()) == [0.0]


def test_a_key_waits_from_its_first_add_and_a_delayed_key_does_not_wait() -> None:
    async def main() -> None:
        queue = WorkQueue(Recorder())
        queue.add_after("later", 60)
        assert (queue.depth, queue.oldest_seconds) == (0, 0.0)
        queue.add("a")
        await asyncio.sleep(5)
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(2)
        assert (queue.depth, queue.oldest_seconds) == (2, 7.0)

    run(main())


def test_a_queue_whose_calls_return_is_not_stalled() -> None:
    async def main() -> None:
        queue = WorkQueue(Recorder(seconds=10, results=[ClusterError("down")] * 9))
        for number in range(9):
            queue.add(str(number))
        task = asyncio.create_task(queue.run(workers=1))
        await asyncio.sleep(45)
        assert (queue.oldest_seconds, queue.stalled_seconds) == (45.0, 5.0)
        task.cancel()

    run(main())
