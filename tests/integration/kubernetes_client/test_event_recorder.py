"""Events: visible, counted when repeated, rate limited, and never waited for."""

import asyncio
from collections.abc import Awaitable, Callable

from deepsynth_operator.kubernetes.event_recorder import (
    BURST,
    MAX_WAITING,
    REFILL_SECONDS,
    REPEAT_SECONDS,
    EventRecorder,
)
from support.cluster.fake_api_server import Client, FakeApiServer, Fault, serve_api
from support.resources.builders import a_training_run

RUN = a_training_run().build()


class Recording:
    def __init__(self, server: FakeApiServer, recorder: EventRecorder) -> None:
        self.server, self.recorder = server, recorder
        self.time = 1000.0
        self.dropped = 0

    async def record(self, reason: str = "AttemptFailed", message: str = "rank 1: ValueError") -> None:
        self.recorder.record(RUN, "Warning", reason, message)
        await self.recorder.flush()

    def list_counts(self) -> list[int]:
        return [event["count"] for event in self.server.list_kind("Event")]


def record(script: Callable[[Recording], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serve_api() as server, Client(server) as api:
            recording = Recording.__new__(Recording)
            recorder = EventRecorder(api, "operator-0", lambda: count(recording), clock=lambda: recording.time)
            recording.__init__(server, recorder)  # type: ignore[misc]
            await script(recording)

    def count(recording: Recording) -> None:
        recording.dropped += 1

    asyncio.run(main())


def test_an_event_names_the_resource_as_kubectl_describe_expects() -> None:
    async def script(recording: Recording) -> None:
        await recording.record()
        (event,) = recording.server.list_kind("Event")
        assert event["involvedObject"]["uid"] == RUN.metadata.uid
        assert event["involvedObject"]["kind"] == "TrainingRun"
        assert (event["type"], event["reason"], event["message"]) == ("Warning", "AttemptFailed", "rank 1: ValueError")
        assert event["source"] == {"component": "deepsynth-operator"}
        assert event["metadata"]["namespace"] == "default"

    record(script)


def test_a_repeated_event_is_counted() -> None:
    async def script(recording: Recording) -> None:
        for _ in range(3):
            await recording.record()
        await recording.record(message="rank 2: ValueError")
        assert sorted(recording.list_counts()) == [1, 3]

    record(script)


def test_an_event_that_repeats_much_later_or_was_deleted_is_created_again() -> None:
    async def script(recording: Recording) -> None:
        await recording.record()
        recording.time += REPEAT_SECONDS
        await recording.record()
        assert recording.list_counts() == [1, 1]
        recording.server.objects.clear()
        await recording.record()
        assert recording.list_counts() == [1]

    record(script)


def test_a_burst_of_events_is_cut_and_later_ones_get_through() -> None:
    async def script(recording: Recording) -> None:
        for number in range(BURST + 5):
            await recording.record(message=str(number))
        assert len(recording.list_counts()) == BURST
        assert recording.dropped == 5
        recording.time += REFILL_SECONDS
        await recording.record(message="later")
        await recording.record(message="too much")
        assert len(recording.list_counts()) == BURST + 1

    record(script)


def test_an_event_that_cannot_be_recorded_is_lost_without_an_error_or_a_retry() -> None:
    async def script(recording: Recording) -> None:
        recording.server.faults = [Fault(403), Fault(500), Fault(cut=True)]
        for _ in range(3):
            await recording.record()
        assert len(recording.server.requests) == 3
        assert recording.server.list_kind("Event") == []

    record(script)


def test_nobody_waits_for_events_and_too_many_that_wait_are_lost() -> None:
    async def script(recording: Recording) -> None:
        recording.server.faults = [Fault(method="POST", seconds=3600)]
        runs = [a_training_run().named(f"run-{number}", uid=f"u{number}").build() for number in range(MAX_WAITING + 1)]
        taken = [recording.recorder.record(run, "Normal", "Complete", "") for run in runs]
        assert (taken.count(False), recording.dropped) == (1, 1)
        await recording.recorder.flush(0.1)
        assert recording.server.list_kind("Event") == []

    record(script)


def test_events_are_sent_one_after_the_other_in_their_order() -> None:
    async def script(recording: Recording) -> None:
        for number in range(BURST):
            recording.recorder.record(RUN, "Normal", "Note", str(number))
        await recording.recorder.flush()
        sent = [seen.body["message"] for seen in recording.server.requests]
        assert sent == [str(number) for number in range(BURST)]
        assert recording.server.max_active == 1

    record(script)


def test_a_long_message_and_a_long_name_are_cut() -> None:
    run = a_training_run("r" * 253).build()

    async def script(recording: Recording) -> None:
        recording.recorder.record(run, "Normal", "Note", "x" * 5000)
        await recording.recorder.flush()
        (event,) = recording.server.list_kind("Event")
        assert len(event["message"]) == 1024
        assert len(event["metadata"]["name"]) <= 253

    record(script)
