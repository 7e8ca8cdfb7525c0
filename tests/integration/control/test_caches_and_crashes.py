"""A controller whose cache is late, wrong or empty, and one that dies between two calls."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_operator.core.errors import Conflict
from deepsynth_simulator.object_store import ObjectKey
from integration.control.crashing_cluster import Crash, CrashingCluster
from support.cluster.cluster_faults import LaggingView
from support.control.controller import Controller
from support.resources.builders import a_dataset_generation, a_training_run

NAME = "read-xsum"


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
    control.cluster.apply_resource(a_training_run().to_manifest())
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


def test_a_deleted_job_that_is_still_in_the_cache_counts_as_deleted(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    get_cluster(control).view.lags = True
    control.cluster.delete_object("Job", "default", f"{NAME}-train-1")
    control.settle()
    assert get_attempts(control) == [(1, "Disrupted", "JobDeleted")]


def test_a_status_from_a_stale_cache_creates_and_deletes_nothing(control: Controller) -> None:
    view = get_cluster(control).view
    control.cluster.apply_resource(a_training_run().to_manifest())
    reconcile_until(control, 1)
    assert control.list_jobs() == [], "attempt 1 is in the status, its Job is not made yet"
    view.lags = True
    control.settle()
    control.end(f"{NAME}-train-1-0", 1)
    control.settle()
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
    assert control.reconcile("TrainingRun", NAME) is None
    assert control.list_jobs() == []
