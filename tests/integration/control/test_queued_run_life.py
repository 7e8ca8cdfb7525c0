"""A TrainingRun in a queue: the run is the queue's unit, so a disruption does not cost it its place or its quota."""

from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.labels import QUEUE_NAME, QUEUE_PRIORITY_CLASS
from deepsynth_api.report import Report, TrainReport
from deepsynth_api.v1alpha1 import TrainingRunStatus
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.object_store import ObjectKey, WatchEvent, key_of
from support.cluster.cluster_faults import QueueingCluster, delete_pod, disrupt, set_suspended
from support.control.controller import Controller
from support.resources.builders import a_dataset_generation, a_training_run

NAME = "read-xsum"
JOB = f"{NAME}-train-1"


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(QueueingCluster, nodes=("node-a", "node-b"))
    yield controller
    controller.close()


def start(control: Controller, **spec: object) -> None:
    """A queued run of two pods, admitted, with both pods running for 100 s."""
    run = a_training_run().labelled({QUEUE_NAME: "team"}).with_spec(numNodes=2, **spec)
    control.apply(run.to_manifest())
    set_suspended(control.cluster, JOB, suspended=False)
    control.settle()
    control.advance(100)


def get_status(control: Controller) -> TrainingRunStatus:
    return control.get_run().status


def get_job(control: Controller, name: str = JOB) -> Manifest:
    job = control.cluster.store.get("Job", "default", name)
    assert job is not None
    return job


def describe(status: TrainingRunStatus) -> list[tuple[str, str | None, str]]:
    return [(attempt.job, attempt.outcome, attempt.reason) for attempt in status.attempts]


@pytest.mark.parametrize(("what", "reason"), [(disrupt, "Evicted"), (delete_pod, "PodDeleted")])
def test_a_disrupted_run_restarts_its_pods_in_the_same_job_and_keeps_its_quota(
    control: Controller, what: object, reason: str
) -> None:
    start(control)
    finished: list[str] = []

    def note(event: WatchEvent) -> None:
        manifest = event.manifest
        if manifest["kind"] == "Job" and (event.type == "DELETED" or manifest["status"].get("conditions")):
            kinds = {item["type"] for item in manifest["status"].get("conditions", []) if item["status"] == "True"}
            finished.extend(kinds - {"Suspended"})

    control.cluster.store.subscribe(note)
    assert callable(what)
    what(control.cluster, f"{JOB}-0")
    control.advance(110)
    status = get_status(control)
    assert describe(status) == [(JOB, "Disrupted", reason), (JOB, None, "")]
    assert (status.state, status.restarts, status.failures) == ("Running", 1, 0)
    assert finished == [], "a Job that fails gives its quota to the next in the queue"
    assert control.list_jobs() == [JOB]
    old, new = status.attempts
    assert old.end_time is not None
    assert new.start_time > old.end_time
    assert new.running_time is not None, "all pods have started again"


def test_a_failed_pod_counts_once_and_restarts_all_pods_of_the_job(control: Controller) -> None:
    start(control)
    control.end(f"{JOB}-1", 1)
    control.advance(60)
    status = get_status(control)
    assert describe(status) == [(JOB, "Failed", "NonZeroExit"), (JOB, None, "")]
    assert (status.restarts, status.failures) == (1, 1)
    started = {pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for pod in list_pods(control)}
    assert started == {"0", "1"}


def test_a_permanent_exit_code_fails_the_run_at_once(control: Controller) -> None:
    start(control)
    control.end(f"{JOB}-1", 64)
    control.advance(60)
    assert get_status(control).state == "Failed"
    assert control.list_living_jobs() == []


def test_a_job_that_no_queue_has_admitted_is_replaced(control: Controller) -> None:
    """The label alone does not mean that there is a queue, which would resume a suspended Job."""
    start(control)
    control.cluster.store.update(
        ObjectKey("Job", "default", JOB), lambda item: item["spec"]["template"]["metadata"]["labels"].clear()
    )
    disrupt(control.cluster, f"{JOB}-0")
    control.advance(60)
    assert control.list_living_jobs() == [f"{NAME}-train-2"]


def test_after_five_restarts_of_the_same_job_another_one_follows(control: Controller) -> None:
    """The Job controller doubles its delay with each pod of an index that has ended."""
    start(control)
    for _ in range(6):
        disrupt(control.cluster, f"{get_status(control).attempts[-1].job}-0")
        control.advance(600, step=20)
    assert [attempt.job for attempt in get_status(control).attempts] == [JOB] * 6 + [f"{NAME}-train-7"]


def test_a_queue_that_does_not_resume_the_job_has_evicted_it(control: Controller) -> None:
    start(control)
    control.cluster.resumes = False  # type: ignore[attr-defined]
    disrupt(control.cluster, f"{JOB}-0")
    control.advance(5)
    assert get_status(control).state == "Restarting"
    control.advance(60)
    assert get_status(control).state == "Queued"
    set_suspended(control.cluster, JOB, suspended=False)
    control.advance(60)
    assert describe(get_status(control))[1:] == [(JOB, None, "")]


def test_a_pod_that_was_replaced_before_the_restart_belongs_to_the_attempt_before(control: Controller) -> None:
    start(control)
    disrupt(control.cluster, f"{JOB}-0")
    control.cluster.settle()
    control.clock.advance(30)
    assert len(list_pods(control)) == 2, "while nobody watches, the Job controller replaces the pod"
    control.settle()
    control.advance(30)
    assert describe(get_status(control)) == [(JOB, "Disrupted", "Evicted"), (JOB, None, "")]


def test_a_waiting_run_moves_to_another_queue_and_another_priority(control: Controller) -> None:
    run = a_training_run().labelled({QUEUE_NAME: "team", QUEUE_PRIORITY_CLASS: "low"})
    control.apply(run.to_manifest())
    control.apply(run.labelled({QUEUE_NAME: "other"}).to_manifest())
    control.settle()
    labels = get_job(control)["metadata"]["labels"]
    assert labels[QUEUE_NAME] == "other"
    assert QUEUE_PRIORITY_CLASS not in labels
    set_suspended(control.cluster, JOB, suspended=False)
    control.apply(run.to_manifest())
    control.settle()
    assert get_job(control)["metadata"]["labels"][QUEUE_NAME] == "other", "a Job that runs stays where it is"


def test_an_admission_that_ends_before_a_container_has_started_costs_no_attempt(control: Controller) -> None:
    control.cluster.kubelet.refusal = "no node"
    control.apply(a_training_run().labelled({QUEUE_NAME: "team"}).to_manifest())
    for _ in range(3):
        set_suspended(control.cluster, JOB, suspended=False)
        control.advance(60)
        assert (get_status(control).state, len(list_pods(control))) == ("Starting", 1)
        set_suspended(control.cluster, JOB, suspended=True)
        control.advance(2, step=1)
    assert describe(get_status(control)) == [(JOB, None, "")]


@pytest.mark.parametrize("kind", ["TrainingRun", "DatasetGeneration"])
def test_a_deactivated_resource_still_shows_what_kept_its_pods_from_starting(control: Controller, kind: str) -> None:
    """Kueue with waitForPodsReady takes the pods away, and with them the kubelet's words."""
    run = kind == "TrainingRun"
    builder: Any = a_training_run() if run else a_dataset_generation()
    control.cluster.kubelet.refusal = "no node"
    control.apply(builder.labelled({QUEUE_NAME: "team"}).to_manifest())
    job = control.list_jobs()[0]
    set_suspended(control.cluster, job, suspended=False)
    control.settle()
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "example/gpu:2: not found"}}
    (pod,) = list_pods(control)
    statuses = [{"name": pod["spec"]["containers"][0]["name"], "state": waiting}]
    control.cluster.store.update(key_of(pod), lambda item: item["status"].update(containerStatuses=statuses))
    control.settle()
    assert read(control, kind).status.summary.reason == "ImagePullBackOff"
    set_suspended(control.cluster, job, suspended=True)
    uid = get_job(control, job)["metadata"]["uid"]
    evicted = {"type": "Evicted", "status": "True", "message": "exceeded the maximum number of re-queuing retries"}
    control.cluster.workloads["default", uid] = {"spec": {"active": False}, "status": {"conditions": [evicted]}}
    control.advance(60)
    status = read(control, kind).status
    assert (status.state, status.summary.reason) == ("Queued", "DeactivatedByQueue")
    message = status.conditions[0].message
    assert "re-queuing retries" in message
    assert "ErrImagePull: example/gpu:2: not found" in message


def read(control: Controller, kind: str) -> Any:
    return control.get_run() if kind == "TrainingRun" else control.get_generation()


def test_a_run_that_its_queue_has_evicted_has_no_rate_and_no_end(control: Controller) -> None:
    start(control)
    train = {
        "attempt": 1,
        "phase": "step",
        "step": 4,
        "total_steps": 9,
        "samples_per_second": 8,
        "remaining_seconds": 9,
    }
    report = Report(step="train", time=control.clock.now(), train=TrainReport.model_validate(train))
    control.report(f"{JOB}-0", report)
    control.advance(60)
    before = get_status(control).progress
    assert before is not None
    assert (before.samples_per_second, before.estimated_completion_time is None) == ("8", False)
    set_suspended(control.cluster, JOB, suspended=True)
    control.settle()
    status = get_status(control)
    assert status.progress is not None
    assert (status.state, status.progress.step) == ("Queued", 4)
    assert (status.progress.samples_per_second, status.progress.estimated_completion_time) == ("", None)


def list_pods(control: Controller) -> list[Manifest]:
    pods = control.cluster.store.select("Pod")
    return [pod for pod in pods if pod["status"]["phase"] in {"Pending", "Running"}]
