"""Runs with spec.elastic on a cluster with too few nodes, from their start to their end."""

from collections.abc import Iterator

import pytest

from deepsynth_api.report import Report, TrainReport
from deepsynth_api.workload import TrainWorkload
from deepsynth_simulator.object_store import ObjectKey
from support.control.controller import Controller
from support.resources.builders import a_training_run

NAME = "read-xsum"
NODES = ("node-a", "node-b", "node-c", "node-d")
ELASTIC = {"minNodes": 2, "scaleUpAfterSeconds": 600}
GPU = {"limits": {"nvidia.com/gpu": 1}}


@pytest.fixture
def control() -> Iterator[Controller]:
    """Four nodes with room for one pod each, of which three are there."""
    controller = Controller(nodes=NODES)
    for node in controller.cluster.kubelet.nodes.values():
        node.room = 1
    set_nodes(controller, 3)
    yield controller
    controller.close()


def set_nodes(control: Controller, count: int) -> None:
    """How many nodes have room; pods that run stay."""
    for index, node in enumerate(control.cluster.kubelet.nodes.values()):
        node.room = int(index < count)
    control.cluster.kubelet.look_again()
    control.cluster.settle()


def apply(control: Controller) -> None:
    control.apply(a_training_run().with_spec(numNodes=4, elastic=ELASTIC, resourcesPerNode=GPU).to_manifest())


def report(control: Controller, step: int, saved: int) -> None:
    train = TrainReport(attempt=1, phase="step", step=step, total_steps=100, saved_step=saved)
    for pod in control.runner.get_living():
        control.report(pod, Report(step="train", time=control.clock.now(), train=train))


def list_attempts(control: Controller) -> list[tuple[int | None, str]]:
    return [(attempt.nodes, attempt.reason) for attempt in control.get_run().status.attempts]


def test_a_run_works_with_the_nodes_there_are_and_returns_to_all_of_them(control: Controller) -> None:
    apply(control)
    control.advance(59)
    assert list_attempts(control) == [(4, "")]
    control.advance(30)
    assert list_attempts(control) == [(4, "FewerNodes"), (3, "")]
    status = control.get_run().status
    assert (status.summary.nodes, status.conditions[0].message.partition(", ")[0]) == (
        "3/4",
        "attempt 2: running pods: 3; 3 of 4 nodes",
    )
    job = control.cluster.store.get("Job", "default", f"{NAME}-train-2")
    assert job is not None
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (3, 3)
    document = control.cluster.store.get("ConfigMap", "default", f"{NAME}-train-2")
    assert document is not None
    assert TrainWorkload.parse(document["data"]["workload.json"]).num_nodes == 3
    report(control, 40, saved=30)
    set_nodes(control, 4)
    control.advance(570)
    assert list_attempts(control)[-1] == (3, "")
    assert control.get_run().status.state == "Running"
    control.advance(60)
    assert list_attempts(control)[1:] == [(3, "ScaleUp"), (4, "")]
    report(control, 40, saved=40)
    control.advance(20)
    status = control.get_run().status
    assert (status.state, status.summary.nodes, status.failures, status.restarts) == ("Running", "4", 0, 0)
    control.advance(3600, step=60)
    assert list_attempts(control)[-1] == (4, "")


def test_a_run_that_does_not_get_more_nodes_works_longer_before_it_tries_again(control: Controller) -> None:
    apply(control)
    control.advance(80)
    stops: list[float] = []
    for step in range(40, 80):
        report(control, step, saved=step)
        before = control.get_run().status.attempts[-1].number
        control.advance(300, step=30)
        found = [item for item in control.get_run().status.attempts if item.number >= before]
        stops += [
            (item.end_time - item.running_time).total_seconds()
            for item in found
            if item.reason == "ScaleUp" and item.end_time and item.running_time
        ]
    assert [round(seconds, -2) for seconds in stops] == [600, 1200, 2400, 4800]
    assert control.get_run().status.attempts_without_progress == 0


def test_a_run_needs_min_nodes(control: Controller) -> None:
    set_nodes(control, 1)
    apply(control)
    control.advance(590)
    assert list_attempts(control) == [(4, "")]
    control.advance(300)
    assert list_attempts(control)[0] == (4, "NotStarted")
    set_nodes(control, 2)
    control.advance(300)
    assert list_attempts(control)[-1] == (2, "")


def test_gpu_time_is_that_of_the_pods_that_ran(control: Controller) -> None:
    apply(control)
    control.advance(75, step=1)
    waited, working = control.get_run().status.attempts
    assert (waited.gpu_seconds, waited.lost_gpu_seconds) == (3 * 60, 3 * 60)
    control.advance(100, step=1)
    control.cluster.delete_object("Job", "default", f"{NAME}-train-2")
    control.advance(1)
    ended = control.get_run().status.attempts[1]
    assert ended.end_time is not None
    assert working.held_time is not None
    assert ended.gpu_seconds == 3 * (ended.end_time - working.held_time).total_seconds()


def test_the_deadline_counts_over_all_attempts(control: Controller) -> None:
    run = a_training_run().with_spec(numNodes=4, elastic=ELASTIC, activeDeadlineSeconds=300)
    control.apply(run.to_manifest())
    control.advance(280)
    assert list_attempts(control) == [(4, "FewerNodes"), (3, "")]
    control.advance(30)
    status = control.get_run().status
    assert (status.state, status.conditions[0].reason) == ("Failed", "DeadlineExceeded")
    assert not control.list_living_jobs()


def test_an_event_says_that_the_run_starts_with_fewer_nodes(control: Controller) -> None:
    apply(control)
    control.advance(80)
    events = [(event.kind, event.reason, event.message) for event in control.cluster.events]
    text = "attempt 1 Suspended: FewerNodes: 3 of 4 pods found a node within 60 s; the next attempt has as many"
    assert ("Normal", "AttemptSuspended", text) in events


def test_elastic_may_be_set_while_a_run_waits(control: Controller) -> None:
    control.apply(a_training_run().with_spec(numNodes=4).to_manifest())
    control.advance(300)
    assert list_attempts(control) == [(4, "")]
    control.change_spec("TrainingRun", NAME, elastic=ELASTIC)
    control.advance(30)
    assert list_attempts(control) == [(4, "FewerNodes"), (3, "")]
    history = control.get_run().status.history
    assert [change.field for entry in history for change in entry.changes] == [
        "elastic.minNodes",
        "elastic.scaleUpAfterSeconds",
    ]


def test_a_run_that_is_deleted_leaves_nothing(control: Controller) -> None:
    apply(control)
    control.advance(80)
    control.cluster.delete_object("TrainingRun", "default", NAME)
    assert control.cluster.store.select("Job") == []
    assert control.cluster.store.get(*ObjectKey("ConfigMap", "default", f"{NAME}-train-2")) is None
