"""Reports are polled in the background: asking for them takes no time, and what is new queues the resource."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from deepsynth_api.labels import OWNER_KIND, OWNER_NAME_ANNOTATION
from deepsynth_api.report import Report
from deepsynth_operator.controller.pace import MAX_POLLS, Pace
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.decisions.training_run.progress import is_starting
from deepsynth_operator.kubernetes.reports.report_poller import ReportPoller
from support.clocks import virtual_time
from support.control.seen import a_report

INTERVAL = 15.0
KEY = ResourceKey("TrainingRun", "default", "r")


def build_pod(uid: str = "u", owner: str = "r") -> Manifest:
    labels, annotations = {OWNER_KIND: "TrainingRun"}, {OWNER_NAME_ANNOTATION: owner}
    return {"metadata": {"name": uid, "uid": uid, "namespace": "default", "labels": labels, "annotations": annotations}}


def get_step(report: Report) -> int:
    return report.train.step if report.train else 0


class Pods:
    """Pods that take `delay` seconds to answer with `step`, and what the poller did with that."""

    def __init__(self) -> None:
        self.delay, self.step = 0.01, 1
        self.polls: list[float] = []
        self.notified: list[ResourceKey] = []
        self.failure: Exception | None = None
        self.listens, self.phase = True, "step"
        self.pace = Pace(INTERVAL, lambda: asyncio.get_running_loop().time())
        self.poller = ReportPoller(self, self.notified.append, self.pace, starts=is_starting)

    async def read_all(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        self.polls.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        return {pod["metadata"]["uid"]: a_report(self.step, phase=self.phase) for pod in pods if self.listens}

    async def ask(self, *uids: str) -> dict[str, int]:
        """The step of each pod that is known, without a wait."""
        begin = asyncio.get_running_loop().time()
        reports = await self.poller.read_all([build_pod(uid) for uid in uids or ("u",)])
        assert asyncio.get_running_loop().time() == begin
        return {uid: report.train.step for uid, report in reports.items() if report.train}


def poll(script: Callable[[Pods], Awaitable[None]]) -> None:
    async def main() -> None:
        pods = Pods()
        await script(pods)
        await pods.poller.close()
        assert not pods.poller._polls

    virtual_time.run(main())


def test_the_first_answer_queues_the_resource() -> None:
    async def script(pods: Pods) -> None:
        assert await pods.ask() == {}
        await asyncio.sleep(1)
        assert pods.notified == [KEY]
        assert await pods.ask() == {"u": 1}

    poll(script)


def test_each_interval_has_one_poll_no_matter_how_often_a_reconcile_asks() -> None:
    """A pod whose report changed each time drove a status write per reconcile, and each write another reconcile."""

    async def script(pods: Pods) -> None:
        for second in range(59):
            pods.step = second
            await pods.ask()
            await asyncio.sleep(1)
        assert len(pods.polls) == len(pods.notified) == 4

    poll(script)


def test_mere_progress_queues_the_resource_every_second_poll_and_other_news_at_once() -> None:
    async def script(pods: Pods) -> None:
        pods.poller = ReportPoller(
            pods, pods.notified.append, pods.pace, is_progress=lambda _old, new: get_step(new) < 100
        )
        queued = []
        for step in (1, 2, 3, 4, 4, 4, 4, 100, 5):
            pods.step, before = step, len(pods.notified)
            await pods.ask()
            await asyncio.sleep(INTERVAL)
            queued.append(len(pods.notified) - before)
        assert queued == [1, 0, 1, 0, 1, 0, 0, 1, 0], "the first, then each second one as long as there is news"

    poll(script)


def test_a_slow_pod_delays_nobody_and_its_answer_is_used_when_it_comes() -> None:
    async def script(pods: Pods) -> None:
        pods.delay = 9
        assert await pods.ask() == {}
        await asyncio.sleep(5)
        assert await pods.ask() == {}
        await asyncio.sleep(5)
        assert await pods.ask() == {"u": 1}

    poll(script)


def test_a_resource_is_not_polled_any_more_when_nobody_asks() -> None:
    async def script(pods: Pods) -> None:
        await pods.ask()
        await asyncio.sleep(600)
        assert len(pods.polls) == 4
        assert not pods.poller._polls
        await pods.ask()
        await asyncio.sleep(1)
        assert len(pods.polls) == 5

    poll(script)


def test_reports_of_pods_that_are_gone_are_not_returned() -> None:
    async def script(pods: Pods) -> None:
        await pods.ask("a", "b")
        await asyncio.sleep(1)
        assert await pods.ask("b", "c") == {"b": 1}
        await asyncio.sleep(INTERVAL)
        assert await pods.ask("b", "c") == {"b": 1, "c": 1}

    poll(script)


def test_an_error_does_not_end_the_polls() -> None:
    async def script(pods: Pods) -> None:
        pods.failure = OverflowError("no")
        await pods.ask()
        await asyncio.sleep(1)
        pods.failure = None
        await pods.ask()
        await asyncio.sleep(INTERVAL)
        assert await pods.ask() == {"u": 1}

    poll(script)


def test_what_a_pod_has_reported_is_kept_as_it_was() -> None:
    async def script(pods: Pods) -> None:
        await pods.ask()
        await asyncio.sleep(1)
        assert await pods.poller.read_all([build_pod()]) == {"u": a_report(1)}

    poll(script)


def test_pods_without_an_owner_are_not_polled() -> None:
    async def script(pods: Pods) -> None:
        bare: Any = {"metadata": {"name": "p", "uid": "p", "namespace": "default"}}
        assert await pods.poller.read_all([bare]) == {}
        assert await pods.poller.read_all([]) == {}

    poll(script)


def test_a_pod_that_has_just_started_is_polled_before_a_reconcile_asks() -> None:
    async def script(pods: Pods) -> None:
        pods.poller.begin(build_pod())
        await asyncio.sleep(1)
        assert pods.notified == [KEY]
        pods.poller.begin(build_pod("another"))
        assert await pods.ask("u", "another") == {"u": 1}
        assert len(pods.polls) == 1, "the pods of a resource are polled together"

    poll(script)


def test_pods_that_have_not_begun_to_work_are_polled_sooner() -> None:
    async def script(pods: Pods) -> None:
        pods.listens, pods.delay = False, 0.0
        pods.poller.begin(build_pod())
        await asyncio.sleep(4)
        assert pods.polls == [0, 1, 3]
        pods.listens, pods.phase = True, "start"
        await asyncio.sleep(4)
        pods.phase = "step"
        await asyncio.sleep(INTERVAL)
        assert pods.polls == [0, 1, 3, 7, 15]
        assert pods.notified == [KEY] * 2, "its first word, and that it works"
        await pods.ask()
        pods.step = 2
        await asyncio.sleep(INTERVAL)
        assert pods.polls[5:] == [30]

    poll(script)


def test_pods_that_never_answer_are_soon_polled_as_seldom_as_others() -> None:
    async def script(pods: Pods) -> None:
        pods.listens, pods.delay = False, 0.0
        for _ in range(59):
            await pods.ask()
            await asyncio.sleep(1)
        assert pods.polls == [0, 1, 3, 7, 15, 30, 45]

    poll(script)


def test_the_pods_of_the_next_attempt_are_polled_at_once() -> None:
    async def script(pods: Pods) -> None:
        await pods.ask("a", "b")
        await asyncio.sleep(5)
        pods.step = 9
        await pods.ask("b", "c")
        assert len(pods.polls) == 1
        await pods.ask("d")
        await asyncio.sleep(1)
        assert await pods.ask("d") == {"d": 9}

    poll(script)


def test_with_very_many_pods_the_polls_are_as_many_as_one_process_can_read() -> None:
    async def script(pods: Pods) -> None:
        names = [f"r{number}" for number in range(4000)]
        for _ in range(4):
            for name in names:
                await pods.poller.read_all([build_pod(name, name)])
            await asyncio.sleep(15)
        later = [time for time in pods.polls if time >= 20]
        assert len(later) < MAX_POLLS * 41
        assert len(later) > MAX_POLLS * 30

    poll(script)
