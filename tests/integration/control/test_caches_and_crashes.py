"""A controller whose cache is late, wrong or empty, and one that dies between two calls."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.labels import OWNER_UID, QUEUE_NAME
from deepsynth_operator.core.errors import Conflict
from deepsynth_operator.decisions.shared.throttle import START_DETAILS
from deepsynth_simulator.object_store import ObjectKey, WatchEvent
from integration.control.crashing_cluster import Crash, CrashingCluster
from support.cluster.cluster_faults import LaggingView, resume_scheduling, set_suspended, stop_scheduling
from support.control.checkpoint_folder import ModelledFolder, find_owner
from support.control.controller import Controller
from support.resources.builders import CREATED, a_dataset_generation, a_training_run

NAME = "read-xsum"
A_COMPLETE_STATUS = {
    "conditions": [{"type": "Complete", "status": "True", "reason": "Published", "lastTransitionTime": CREATED}],
    "output": {"uri": "pvc://data/pages", "revision": "r1", "rows": 1, "pages": 1, "bytes": 1, "manifestSha256": "0"},
}


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(CrashingCluster, view=LaggingView)
    yield controller
    controller.close()


def get_cluster(control: Controller) -> Any:
    return control.cluster


def get_attempts(control: Controller) -> list[tuple[int, str | None, str]]:
    return [(attempt.number, attempt.outcome, attempt.reason) for attempt in control.get_run().status.attempts]


def reconcile_until(control: Controller, crash_before: int) -> None:
    get_cluster(control).crash_before = crash_before
    with contextlib.suppress(Crash):
        control.reconcile("TrainingRun", NAME)
    get_cluster(control).crash_before = None


@pytest.mark.parametrize("crash", range(7))
def test_a_controller_that_dies_anywhere_while_it_starts_an_attempt_starts_exactly_one(
    control: Controller, crash: int
) -> None:
    control.cluster.apply_resource(a_training_run().with_spec(numNodes=2).to_manifest())
    reconcile_until(control, crash)
    control.settle()
    assert get_attempts(control) == [(1, None, "")]
    assert control.list_jobs() == [f"{NAME}-train-1"]
    assert len(control.cluster.store.select("ConfigMap")) == len(control.cluster.store.select("Service")) == 1


@pytest.mark.parametrize("crash", range(6))
def test_a_controller_that_dies_anywhere_while_it_suspends_writes_the_outcome_before_it_deletes(
    control: Controller, crash: int
) -> None:
    control.apply(a_training_run().to_manifest())
    key = ObjectKey("TrainingRun", "default", NAME)
    control.cluster.store.update(key, lambda item: item["spec"].update(suspend=True))
    reconcile_until(control, crash)
    control.settle()
    assert get_attempts(control) == [(1, "Suspended", "SuspendedByUser")]
    assert control.list_jobs() == []


@pytest.mark.parametrize("crash", range(6))
def test_a_failure_is_counted_once_wherever_the_controller_dies(control: Controller, crash: int) -> None:
    control.apply(a_training_run().to_manifest())
    control.end(f"{NAME}-train-1-0", 1)
    for _ in range(3):
        reconcile_until(control, crash)
    control.advance(15)
    assert control.get_run().status.failures == 1
    assert [number for number, _, _ in get_attempts(control)] == [1, 2]


def test_a_job_that_is_not_in_the_cache_yet_does_not_count_as_deleted(control: Controller) -> None:
    get_cluster(control).view.lags = True
    control.cluster.apply_resource(a_training_run().to_manifest())
    get_cluster(control).view.deliver_next()
    control.settle()
    get_cluster(control).view.lags = False
    control.settle()
    assert get_attempts(control) == [(1, None, "")]


def test_a_deleted_job_counts_as_deleted_once_the_cache_has_seen_it(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    view = get_cluster(control).view
    view.lags = True
    control.cluster.delete_object("Job", "default", f"{NAME}-train-1")
    control.settle()
    assert get_attempts(control) == [(1, None, "")]
    view.deliver_next("Job")
    control.settle()
    assert get_attempts(control) == [(1, "Disrupted", "JobDeleted")]


@pytest.mark.parametrize("keeps_writes", [False, True])
def test_a_job_whose_event_is_late_is_read_once_and_not_created_twice(control: Controller, keeps_writes: bool) -> None:
    view = get_cluster(control).view
    view.keeps_writes = keeps_writes
    control.cluster.apply_resource(a_training_run().to_manifest())
    view.lags = True
    control.settle()
    view.deliver_next("TrainingRun")
    control.advance(20)
    assert get_attempts(control) == [(1, None, "")]
    assert control.list_jobs() == [f"{NAME}-train-1"]


def test_a_restart_that_does_not_see_the_last_job_yet_neither_ends_nor_repeats_its_attempt(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    get_cluster(control).view.restart(hidden="Job")
    jobs = control.cluster.store.select("Job")
    control.settle()
    assert get_attempts(control) == [(1, None, "")]
    assert control.cluster.store.select("Job") == jobs


def test_an_attempt_whose_job_was_deleted_after_a_crash_is_not_repeated_while_pods_stop(
    control: Controller,
) -> None:
    """Its uid is written some seconds after its creation, so the status does not prove that the Job existed."""
    control.runner.obeys = None
    control.apply(a_training_run().with_spec(numNodes=2).to_manifest())
    assert control.get_run().status.attempts[0].job_uid == ""
    pods = control.runner.get_living()
    control.cluster.delete_object("Job", "default", f"{NAME}-train-1")
    get_cluster(control).view.restart()
    control.settle()
    assert get_attempts(control) == [(1, "Disrupted", "JobDeleted")]
    control.advance(30)
    assert control.list_jobs() == [], "its pods may still write checkpoints"
    for pod in pods:
        control.end(pod, 143)
    control.advance(30)
    assert get_attempts(control) == [(1, "Disrupted", "JobDeleted"), (2, None, "")]
    assert control.list_jobs() == [f"{NAME}-train-2"]


def test_an_attempt_whose_job_was_deleted_before_any_container_ran_is_started_again(control: Controller) -> None:
    stop_scheduling(control.cluster)
    control.cluster.apply_resource(a_training_run().to_manifest())
    control.reconcile("TrainingRun", NAME)
    control.cluster.delete_object("Job", "default", f"{NAME}-train-1")
    control.cluster.settle()
    get_cluster(control).view.restart()
    resume_scheduling(control.cluster)
    control.settle()
    assert get_attempts(control) == [(1, None, "")]
    assert len(control.runner.pods) == 1, "the first pod never had a node"


@pytest.mark.parametrize("change", [{"suspend": True}, {"activeDeadlineSeconds": 1}])
def test_an_attempt_that_succeeded_behind_a_late_cache_is_not_ended_otherwise(
    control: Controller, change: dict[str, Any]
) -> None:
    control.apply(a_training_run().to_manifest())
    view = get_cluster(control).view
    view.lags = True
    control.end(f"{NAME}-train-1-0", 0)
    control.clock.advance(2)
    control.change_spec("TrainingRun", NAME, **change)
    view.waiting.reverse()
    view.deliver_next("TrainingRun")
    control.settle()
    assert control.list_jobs() == [f"{NAME}-train-1"], "the cache shows it at work, the API server does not"
    view.catch_up()
    control.settle()
    assert get_attempts(control) == [(1, "Succeeded", "Succeeded")]


def test_a_run_is_not_queued_again_because_of_an_old_job_in_the_cache(control: Controller) -> None:
    control.apply(a_training_run().labelled({QUEUE_NAME: "team"}).to_manifest())
    view = get_cluster(control).view
    held = view.select("Job", "default", {OWNER_UID: control.get_run().metadata.uid})
    set_suspended(control.cluster, f"{NAME}-train-1", suspended=False)
    control.settle()
    assert control.get_run().status.attempts[0].held_time is not None
    view.restart(hidden="Job")
    view.waiting.clear()
    view.deliver(WatchEvent("MODIFIED", {**held[0], "kind": "Job"}))
    control.settle()
    assert get_attempts(control) == [(1, None, "")]


def test_a_status_from_a_stale_cache_creates_and_deletes_nothing(control: Controller) -> None:
    view = get_cluster(control).view
    control.cluster.apply_resource(a_training_run().to_manifest())
    reconcile_until(control, 1)
    assert control.list_jobs() == [], "attempt 1 is in the status, its Job is not made yet"
    view.lags = True
    control.settle()
    control.end(f"{NAME}-train-1-0", 1)
    control.advance(START_DETAILS.total_seconds())
    control.cluster.delete_object("Job", "default", f"{NAME}-train-1")
    control.advance(20)
    assert control.list_jobs() == [f"{NAME}-train-2"]
    jobs = control.cluster.store.select("Job")
    for _ in range(3):
        control.reconcile("TrainingRun", NAME)
    assert control.cluster.store.select("Job") == jobs


def test_a_dataset_is_pinned_from_the_api_server_and_not_from_the_cache(control: Controller) -> None:
    datasets = [{"name": "xsum", "datasetGenerationRef": {"name": "xsum"}}]
    control.cluster.apply_resource(a_dataset_generation().to_manifest())
    control.cluster.store.update(
        ObjectKey("DatasetGeneration", "default", "xsum"), lambda item: item.update(status=A_COMPLETE_STATUS)
    )
    get_cluster(control).view.lags = True
    control.cluster.delete_object("DatasetGeneration", "default", "xsum")
    control.cluster.apply_resource(a_training_run().with_spec(datasets=datasets).to_manifest())
    get_cluster(control).view.waiting.clear()
    get_cluster(control).view.lags = False
    key = ObjectKey("TrainingRun", "default", NAME)
    control.cluster.store.update(key, lambda run: run["metadata"].update(annotations={}))
    control.settle()
    condition = find_condition(control.get_run().status.conditions, ConditionType.DATASET_READY)
    assert condition is not None
    assert condition.reason == "DatasetNotFound"


def test_another_client_that_writes_first_makes_the_controller_decide_again(control: Controller) -> None:
    control.cluster.apply_resource(a_training_run().to_manifest())
    get_cluster(control).interferences = 2
    control.reconcile("TrainingRun", NAME)
    assert get_attempts(control) == [(1, None, "")]
    get_cluster(control).interferences = 3
    control.end(f"{NAME}-train-1-0", 1)
    with pytest.raises(Conflict, match="changes faster than it can be reconciled"):
        control.reconcile("TrainingRun", NAME)


def test_a_resource_that_is_gone_is_ignored(control: Controller) -> None:
    assert control.reconcile("TrainingRun", "never-was") is None
    control.apply(a_training_run().to_manifest())
    get_cluster(control).view.lags = True
    control.cluster.delete_object("TrainingRun", "default", NAME)
    get_cluster(control).view.deliver_next("Job")
    assert control.reconcile("TrainingRun", NAME) is None
    assert control.list_jobs() == []


def test_an_attempt_whose_first_job_nobody_saw_is_followed_by_another_and_only_one_job_can_save(
    control: Controller,
) -> None:
    """The process dies right after it created the Job, and the Job is deleted by hand before the next one starts."""
    control.apply(a_training_run().to_manifest())
    folder, view = ModelledFolder(), get_cluster(control).view
    left_over = control.runner.find(f"{NAME}-train-1-0")
    assert folder.save(left_over)
    control.cluster.delete_object("Job", "default", f"{NAME}-train-1")
    view.restart()
    control.settle()
    assert get_attempts(control) == [(1, None, "")], "nothing shows that it had a Job"
    again = control.runner.find(f"{NAME}-train-1-0")
    assert find_owner(again).job_uid != find_owner(left_over).job_uid
    assert not folder.save(again), "it cannot know that it is the later one, so it stops"
    assert folder.save(left_over)
    control.end(f"{NAME}-train-1-0", 69)
    control.advance(60)
    assert get_attempts(control) == [(1, "Disrupted", "PeerLost"), (2, None, "")]
    assert folder.save(control.runner.find(f"{NAME}-train-2-0"))
    assert not folder.save(left_over)
    assert control.get_run().status.failures == 0
