"""Reports are polled in the background: asking for them takes no time, and what is new queues the resource."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from deepsynth_api.labels import OWNER_KIND, OWNER_NAME_ANNOTATION
from deepsynth_api.report import Report
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
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
        self.poller = ReportPoller(self, self.notified.append, interval=INTERVAL)

    async def read_all(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        self.polls.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        return {pod["metadata"]["uid"]: a_report(self.step) for pod in pods}

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
            pods, pods.notified.append, interval=INTERVAL, every=2, is_progress=lambda _old, new: get_step(new) < 100
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


def test_pods_without_an_owner_are_not_polled() -> None:
    async def script(pods: Pods) -> None:
        bare: Any = {"metadata": {"name": "p", "uid": "p", "namespace": "default"}}
        assert await pods.poller.read_all([bare]) == {}
        assert await pods.poller.read_all([]) == {}

    poll(script)
