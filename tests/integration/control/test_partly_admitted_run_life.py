"""A queued run with spec.elastic, whose queue admits its Job with fewer pods (Kueue's partial admission)."""

from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.v1alpha1 import TrainingRunStatus
from deepsynth_api.workload import TrainWorkload
from deepsynth_operator.core.observed import Manifest
from support.cluster.cluster_faults import LaggingView, QueueingCluster, delete_pod, set_suspended
from support.control.controller import Controller
from support.resources.builders import a_training_run

NAME = "read-xsum"
JOB = f"{NAME}-train-1"


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(QueueingCluster, nodes=("node-a", "node-b", "node-c"), view=LaggingView)
    run = a_training_run().labelled({QUEUE_NAME: "team"}).with_spec(numNodes=3, elastic={"minNodes": 1})
    controller.apply(run.to_manifest())
    yield controller
    controller.close()


def admit(control: Controller, pods: int, job: str = JOB) -> None:
    set_suspended(control.cluster, job, suspended=False, pods=pods)
    control.settle()


def evict(control: Controller) -> None:
    set_suspended(control.cluster, JOB, suspended=True)


def get_status(control: Controller) -> TrainingRunStatus:
    return control.get_run().status


def get_job(control: Controller) -> Manifest:
    job = control.cluster.store.get("Job", "default", JOB)
    assert job is not None
    return job


def read_nodes(control: Controller) -> int | None:
    """The number of nodes in the workload document, if there is one."""
    document = control.cluster.store.get("ConfigMap", "default", JOB)
    return TrainWorkload.parse(document["data"]["workload.json"]).num_nodes if document else None


def list_documents(control: Controller) -> list[int]:
    """The number of nodes that each running pod has read."""
    pods = (control.runner.pods[name] for name in control.runner.get_living())
    return [TrainWorkload.parse(pod.config_maps[JOB]["workload.json"]).num_nodes for pod in pods]


def test_the_job_says_with_how_few_pods_it_may_be_admitted(control: Controller) -> None:
    job = get_job(control)
    annotations = job["metadata"]["annotations"]
    assert annotations["kueue.x-k8s.io/job-min-parallelism"] == "1"
    assert annotations["kueue.x-k8s.io/job-completions-equal-parallelism"] == "true"
    assert (job["spec"]["parallelism"], job["spec"]["completions"], job["spec"]["suspend"]) == (3, 3, True)
    assert read_nodes(control) is None, "how many pods there will be is not known yet"
    assert (get_status(control).state, get_status(control).summary.nodes) == ("Queued", "3")


@pytest.mark.parametrize("pods", [1, 2, 3])
def test_the_pods_know_how_many_of_them_were_admitted(control: Controller, pods: int) -> None:
    admit(control, pods)
    control.advance(100)
    status = get_status(control)
    assert list_documents(control) == [pods] * pods
    assert (status.state, status.attempts[0].nodes, len(status.attempts)) == ("Running", pods, 1)
    assert status.summary.nodes == ("3" if pods == 3 else f"{pods}/3")
    for index in range(pods):
        control.end(f"{JOB}-{index}", 0)
    control.settle()
    assert get_status(control).state == "Complete"


def test_an_evicted_run_may_be_admitted_with_another_number_of_pods(control: Controller) -> None:
    admit(control, 2)
    control.advance(100)
    evict(control)
    control.settle()
    assert get_job(control)["spec"]["completions"] == 3
    assert read_nodes(control) is None
    seen: set[tuple[int, int | None]] = set()
    control.cluster.store.subscribe(lambda _: seen.update((a.number, a.nodes) for a in get_status(control).attempts))
    admit(control, 3)
    control.advance(100)
    assert seen == {(1, 2), (2, 3)}
    first, second = get_status(control).attempts
    assert (first.outcome, first.reason, first.nodes) == ("Suspended", "RequeuedByQueue", 2)
    assert (second.job, second.nodes, second.outcome) == (JOB, 3, None)
    assert list_documents(control) == [3, 3, 3]
    assert get_status(control).attempts_without_progress == 0


def test_a_restart_keeps_the_job_and_the_number_of_pods(control: Controller) -> None:
    admit(control, 2)
    control.advance(100)
    delete_pod(control.cluster, f"{JOB}-1")
    control.advance(100)
    first, second = get_status(control).attempts
    assert (first.outcome, second.job, second.nodes, second.outcome) == ("Disrupted", JOB, 2, None)
    assert second.running_time is not None
    assert list_documents(control) == [2, 2]


@pytest.mark.parametrize("starts", [True, False], ids=["after all pods ran", "before they ran"])
def test_an_eviction_that_nobody_saw_restarts_pods_that_know_the_wrong_number(
    control: Controller, starts: bool
) -> None:
    control.runner.starts = starts
    admit(control, 2)
    control.advance(100)
    evict(control)
    control.runner.starts = True
    set_suspended(control.cluster, JOB, suspended=False, pods=3)
    view: Any = control.cluster.view
    view.restart()  # another process, which knows no pod that is gone
    assert list_documents(control) == [2, 2, 2]
    control.advance(120)
    assert list_documents(control) == [3, 3, 3]
    last = get_status(control).attempts[-1]
    assert (last.job, last.nodes, last.outcome, get_status(control).failures) == (JOB, 3, None, 0)


def test_in_a_queue_a_run_does_not_stop_by_itself_for_more_nodes(control: Controller) -> None:
    admit(control, 1)
    control.advance(7200, step=300)
    (attempt,) = get_status(control).attempts
    assert (attempt.nodes, attempt.outcome) == (1, None)
    assert "tries" not in get_status(control).conditions[0].message


def test_the_controller_writes_the_document_again_if_it_died_before_it_noted_that(control: Controller) -> None:
    set_suspended(control.cluster, JOB, suspended=False, pods=2)
    real, control.cluster.patch_job = control.cluster.patch_job, _die  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        control.settle()
    assert read_nodes(control) == 2
    control.cluster.patch_job = real  # type: ignore[method-assign]
    control.advance(60)
    assert list_documents(control) == [2, 2]


async def _die(*_: object, **__: object) -> None:
    raise RuntimeError
