"""Gathering reads reports of running pods, and nodes only of pods that do not terminate."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deepsynth_api.labels import OWNER_UID
from deepsynth_operator.controller.gather import NewestJob, gather_children
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.decisions.shared.pods import STUCK
from support.control.seen import a_report
from support.resources.builders import CREATED, a_training_run

DELETION = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
"""When the grace period of the terminating pods ends."""


def build_pod(name: str, node: str, **metadata: Any) -> Manifest:
    running = {"state": {"running": {"startedAt": "2026-01-02T02:00:00Z"}}}
    return {
        "metadata": {"name": name, "uid": name, **metadata},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "containerStatuses": [running]},
    }


class FourPods:
    """A cluster in which pods a and b terminate on node n1, c on n2, and d runs on n3. It records the nodes read."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def list_jobs(self, *_: str) -> list[Manifest]:
        return []

    async def list_deleted_pods(self, *_: str) -> list[Manifest]:
        return []

    async def list_pods(self, *_: str) -> list[Manifest]:
        deletion = {"deletionTimestamp": DELETION.isoformat()}
        terminating = [build_pod(name, node, **deletion) for name, node in (("a", "n1"), ("b", "n1"), ("c", "n2"))]
        return [*terminating, build_pod("d", "n3")]

    async def read_reports(self, pods: list[Manifest]) -> dict[str, Any]:
        assert len(pods) == 4
        return {"d": a_report(7)}

    async def read_workload(self, namespace: str, job_uid: str) -> None:
        return None

    async def is_node_ready(self, name: str) -> bool:
        self.asked.append(name)
        return name == "n2"


def observe(after: timedelta) -> tuple[dict[str, Any], list[str]]:
    """Pods by name, and the nodes that were read."""
    cluster: Any = FourPods()
    run = a_training_run().build()
    gathered = asyncio.run(gather_children(cluster, run, [], DELETION + after, confirm=False))
    return {pod.name: pod for pod in gathered.found.pods}, cluster.asked


def test_a_node_is_read_once_and_only_when_a_pod_does_not_terminate() -> None:
    pods, asked = observe(STUCK - timedelta(seconds=1))
    assert (asked, pods["a"].node_ready) == ([], None)
    pods, asked = observe(STUCK)
    assert asked == ["n1", "n2"]
    assert [pods[name].node_ready for name in "abcd"] == [False, False, True, None]


def test_a_running_pod_has_its_live_report() -> None:
    pods, _ = observe(timedelta())
    assert pods["d"].report == a_report(7)
    assert pods["a"].report is None


class ThreeJobs(FourPods):
    """The cache shows Job 1 as finished, and 2 and 3 at work. The API server has them all."""

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner
        self.read: list[str] = []

    async def list_jobs(self, *_: str) -> list[Manifest]:
        done = {"conditions": [{"type": "Complete", "status": "True"}]}
        return [self.build("1", done), self.build("2", {}), self.build("3", {})]

    async def read_job(self, _: str, name: str) -> Manifest | None:
        self.read.append(name)
        return self.build(name, {})

    def build(self, name: str, status: Manifest) -> Manifest:
        labels = {OWNER_UID: self.owner}
        return {"metadata": {"name": name, "uid": name, "labels": labels}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("newest", "confirm", "read", "is_confirmed"),
    [
        ([NewestJob("3", is_live=True)], False, ["2"], False),
        ([NewestJob("3", is_live=True)], True, ["2", "3"], True),
        ([NewestJob("3", is_live=False)], False, ["2", "3"], True),
        ([NewestJob("4", is_live=True)], False, ["2", "3", "4"], True),
        ([NewestJob("1", is_live=True)], False, ["2", "3"], True),
        ([NewestJob("3", is_live=True), NewestJob("2", is_live=True)], False, [], False),
        ([], False, ["2", "3"], True),
    ],
)
def test_the_live_job_is_read_only_to_confirm_and_others_that_should_have_ended_always(
    newest: list[NewestJob], confirm: bool, read: list[str], is_confirmed: bool
) -> None:
    run = a_training_run().build()
    cluster: Any = ThreeJobs(run.metadata.uid)
    gathered = asyncio.run(gather_children(cluster, run, newest, DELETION, confirm=confirm))
    assert (cluster.read, gathered.is_confirmed) == (read, is_confirmed)
    assert {job.name for job in gathered.found.jobs} == {"1", "2", "3", *read}


def test_of_a_finished_run_no_job_is_read() -> None:
    """A restart with 300 finished runs made 304 requests."""
    complete = {"type": "Complete", "status": "True", "reason": "Succeeded", "lastTransitionTime": CREATED}
    run = a_training_run().with_status(conditions=[complete]).build()
    cluster: Any = FourPods()  # cannot read Jobs
    newest = NewestJob("read-xsum-train-1", is_live=False)
    gathered = asyncio.run(gather_children(cluster, run, [newest], DELETION, confirm=False))
    assert gathered.found.jobs == ()
