"""Jobs in the simulator follow batch/v1: retries per index, failure policies, suspension, replacement."""

import pytest

from deepsynth_operator.core.observed import find_true_condition
from deepsynth_simulator.object_store import ObjectKey
from deepsynth_simulator.pod_fields import FAILURE_COUNT_ANNOTATION, IGNORED_COUNT_ANNOTATION, TRACKING_FINALIZER
from deepsynth_simulator.pod_runner import ContainerExit
from support.cluster.cluster_faults import (
    delete_pod,
    disrupt,
    find_pods,
    lose_node,
    restore_node,
    resume_scheduling,
    set_suspended,
    stop_scheduling,
    taint_node,
)
from support.cluster.scripted_runner import ScriptedRunner
from unit.deepsynth_simulator.job_manifests import Fixture, a_render_job, a_training_job, build_job


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def test_a_job_is_complete_when_every_index_has_succeeded(fixture: Fixture) -> None:
    fixture.create(a_training_job(3))
    fixture.runner.end("job-1", 0)
    fixture.runner.end("job-0", 0)
    assert (fixture.get_end(), fixture.get_status()["completedIndexes"]) == (None, "0,1")
    fixture.runner.end("job-2", 0)
    assert fixture.get_end() == ("Complete", "CompletionsReached")
    assert fixture.get_status()["succeeded"] == 3
    assert len(find_pods(fixture.cluster)) == 3
    assert not any(TRACKING_FINALIZER in pod["metadata"]["finalizers"] for pod in find_pods(fixture.cluster))


def test_no_more_pods_than_parallelism_run_at_a_time(fixture: Fixture) -> None:
    fixture.create(a_render_job(5, parallelism=2))
    assert fixture.get_indexes() == [0, 1]
    fixture.runner.end("job-0", 0)
    assert fixture.get_indexes() == [1, 2]


def test_parallelism_can_be_lowered_and_raised(fixture: Fixture) -> None:
    fixture.runner.obeys = ContainerExit(143)
    fixture.create(a_render_job(4))
    fixture.cluster.store.update(ObjectKey("Job", "default", "job"), lambda job: job["spec"].update(parallelism=1))
    fixture.cluster.settle()
    assert fixture.get_indexes() == [0]
    fixture.cluster.store.update(ObjectKey("Job", "default", "job"), lambda job: job["spec"].update(parallelism=3))
    fixture.cluster.settle()
    assert fixture.get_indexes() == [0, 1, 2]
    assert fixture.get_status().get("failed", 0) == 0


def test_a_permanent_exit_code_fails_the_whole_job_at_once(fixture: Fixture) -> None:
    fixture.create(a_training_job(2))
    fixture.runner.end("job-1", 64)
    condition = find_true_condition(fixture.get_job(), "FailureTarget")
    assert condition is not None
    assert condition["message"].endswith("failed with exit code 64 matching FailJob rule at index 1")
    assert fixture.get_end() is None, "Failed waits for the other pod"
    fixture.runner.end("job-0", 143)
    assert fixture.get_end() == ("Failed", "PodFailurePolicy")


def test_failed_pods_stay_and_stopped_ones_are_removed(fixture: Fixture) -> None:
    fixture.create(a_training_job(2))
    fixture.runner.end("job-1", 1)
    fixture.runner.end("job-0", 143)
    assert [pod["metadata"]["name"][:5] for pod in find_pods(fixture.cluster)] == ["job-1"]


def test_a_pod_that_a_user_deletes_counts_as_a_failure(fixture: Fixture) -> None:
    fixture.create(a_training_job(1))
    delete_pod(fixture.cluster, "job-0")
    fixture.runner.end("job-0", 143)
    assert fixture.get_end() == ("Failed", "BackoffLimitExceeded")


def test_a_catch_all_rule_turns_a_suspension_into_a_failure(fixture: Fixture) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0]}}
    fixture.create(a_training_job(1, podFailurePolicy={"rules": [rule]}))
    set_suspended(fixture.cluster, "job", True)
    fixture.runner.end("job-0", 143)
    assert fixture.get_end() == ("Failed", "PodFailurePolicy")


def test_a_suspended_job_stops_its_pods_without_failing_and_starts_new_ones_when_resumed(fixture: Fixture) -> None:
    fixture.create(a_training_job(2))
    set_suspended(fixture.cluster, "job", True)
    fixture.runner.end("job-0", 143)
    fixture.runner.end("job-1", 143)
    assert fixture.get_end() is None
    assert "startTime" not in fixture.get_status()
    assert find_pods(fixture.cluster) == []
    fixture.clock.advance(60)
    set_suspended(fixture.cluster, "job", False)
    assert fixture.get_indexes() == [0, 1]
    assert fixture.get_status()["startTime"] == "2026-01-02T03:01:00Z"
    assert find_true_condition(fixture.get_job(), "Suspended") is None


def test_a_job_that_is_created_suspended_has_no_pods(fixture: Fixture) -> None:
    fixture.create(a_training_job(2, suspend=True))
    assert (find_pods(fixture.cluster), fixture.get_status().get("startTime")) == ([], None)


def test_a_failed_index_is_retried_after_a_delay_that_doubles(fixture: Fixture) -> None:
    fixture.create(a_render_job(1, backoffLimitPerIndex=2))
    fixture.runner.end("job-0", 75)
    fixture.clock.advance(9)
    assert fixture.get_indexes() == []
    fixture.clock.advance(1)
    assert fixture.get_indexes() == [0]
    fixture.runner.end("job-0", 75)
    fixture.clock.advance(19)
    assert fixture.get_indexes() == []
    fixture.clock.advance(1)
    assert fixture.get_pod(0)["metadata"]["annotations"][FAILURE_COUNT_ANNOTATION] == "2"
    fixture.runner.end("job-0", 75)
    assert fixture.get_end() == ("Failed", "FailedIndexes")
    assert (fixture.get_status()["failedIndexes"], fixture.get_status()["failed"]) == ("0", 3)


def test_a_disruption_does_not_count_as_a_failure_of_its_index(fixture: Fixture) -> None:
    fixture.create(a_render_job(1, backoffLimitPerIndex=0))
    for disruptions in range(1, 4):
        disrupt(fixture.cluster, "job-0")
        fixture.runner.end("job-0", 137)
        fixture.clock.advance(360)
        annotations = fixture.get_pod(0)["metadata"]["annotations"]
        assert (annotations[FAILURE_COUNT_ANNOTATION], annotations[IGNORED_COUNT_ANNOTATION]) == ("0", str(disruptions))
    fixture.runner.end("job-0", 0)
    assert fixture.get_end() == ("Complete", "CompletionsReached")
    assert fixture.get_status().get("failed", 0) == 0


def test_an_evicted_pod_of_a_shard_stays_until_it_is_replaced(fixture: Fixture) -> None:
    fixture.create(a_render_job(1))
    disrupt(fixture.cluster, "job-0")
    fixture.runner.end("job-0", 143)
    assert len(find_pods(fixture.cluster)) == 1
    fixture.clock.advance(10)
    (pod,) = find_pods(fixture.cluster)
    assert pod["status"]["phase"] == "Running"


@pytest.mark.parametrize("code", [64, 65])
def test_an_index_with_a_permanent_exit_code_is_not_retried(fixture: Fixture, code: int) -> None:
    fixture.create(a_render_job(2, backoffLimitPerIndex=5))
    fixture.runner.end("job-0", code)
    assert fixture.get_status()["failedIndexes"] == "0"
    assert fixture.get_indexes() == [1], "the other shard continues"
    fixture.runner.end("job-1", 0)
    assert fixture.get_end() == ("Failed", "FailedIndexes")


def test_too_many_failed_indexes_stop_the_others(fixture: Fixture) -> None:
    fixture.create(a_render_job(4, maxFailedIndexes=1))
    fixture.runner.end("job-0", 64)
    assert fixture.get_indexes() == [1, 2, 3]
    fixture.runner.end("job-3", 64)
    assert fixture.get_status()["failedIndexes"] == "0,3"
    for index in (1, 2):
        fixture.runner.end(f"job-{index}", 143)
    assert fixture.get_end() == ("Failed", "MaxFailedIndexesExceeded")


def test_a_replacement_waits_until_the_old_pod_is_gone(fixture: Fixture) -> None:
    fixture.create(a_render_job(1))
    delete_pod(fixture.cluster, "job-0")
    assert len(find_pods(fixture.cluster)) == 1
    assert fixture.get_status()["terminating"] == 1
    fixture.runner.end("job-0", 143)
    fixture.clock.advance(10)
    assert fixture.get_indexes() == [0]


def test_without_a_policy_a_terminating_pod_counts_as_failed(fixture: Fixture) -> None:
    fixture.create(build_job(completions=1, parallelism=1, backoffLimit=0))
    delete_pod(fixture.cluster, "job-0")
    assert find_true_condition(fixture.get_job(), "FailureTarget") is not None


def test_without_a_limit_per_index_retries_count_for_the_job(fixture: Fixture) -> None:
    fixture.create(build_job(completions=1, parallelism=1, backoffLimit=1))
    fixture.runner.end("job-0", 1)
    fixture.clock.advance(10)
    fixture.runner.end("job-0", 1)
    assert fixture.get_end() == ("Failed", "BackoffLimitExceeded")
    assert fixture.get_status()["failed"] == 2


def test_pods_of_a_lost_node_end_when_the_node_is_back() -> None:
    fixture = Fixture(nodes=("left", "right"))
    fixture.create(a_training_job(2))
    lose_node(fixture.cluster, "right")
    fixture.runner.end("job-1", 69)
    assert fixture.get_indexes() == [0, 1], "nothing is reported from a lost node"
    taint_node(fixture.cluster, "right")
    fixture.clock.advance(3600)
    assert fixture.get_status()["terminating"] == 1
    restore_node(fixture.cluster, "right")
    fixture.runner.end("job-0", 143)
    assert fixture.get_end() == ("Failed", "PodFailurePolicy")
    assert "DisruptionTarget" in fixture.get_status()["conditions"][-1]["message"]


def test_a_pod_that_never_started_is_removed_when_it_is_deleted() -> None:
    fixture = Fixture(ScriptedRunner(starts=False))
    fixture.create(a_training_job(1))
    delete_pod(fixture.cluster, "job-0")
    assert find_pods(fixture.cluster) == []
    assert fixture.get_end() == ("Failed", "BackoffLimitExceeded")


def test_an_index_whose_pod_was_never_scheduled_is_retried_after_the_delay(fixture: Fixture) -> None:
    """Such a pod has no container status, so its end is the time of its deletion."""
    stop_scheduling(fixture.cluster)
    fixture.create(a_render_job(1))
    fixture.clock.advance(3600)
    disrupt(fixture.cluster, "job-0")
    (failed,) = find_pods(fixture.cluster)
    assert failed["status"]["phase"] == "Failed"
    assert "containerStatuses" not in failed["status"]
    fixture.clock.advance(9)
    assert fixture.get_indexes() == []
    fixture.clock.advance(1)
    assert fixture.get_indexes() == [0]
    resume_scheduling(fixture.cluster)
    fixture.runner.end("job-0", 0)
    assert fixture.get_end() == ("Complete", "CompletionsReached")


def test_a_job_fails_at_its_deadline_and_stops_its_pods(fixture: Fixture) -> None:
    fixture.create(a_training_job(2, activeDeadlineSeconds=60))
    fixture.clock.advance(59)
    assert fixture.get_indexes() == [0, 1]
    assert find_true_condition(fixture.get_job(), "FailureTarget") is None
    fixture.clock.advance(1)
    assert find_true_condition(fixture.get_job(), "FailureTarget") is not None
    assert fixture.get_end() is None, "Failed waits for the pods"
    fixture.runner.end("job-0", 143)
    fixture.runner.end("job-1", 143)
    assert fixture.get_end() == ("Failed", "DeadlineExceeded")


def test_a_job_that_succeeds_before_its_deadline_stays_complete(fixture: Fixture) -> None:
    fixture.create(a_training_job(1, activeDeadlineSeconds=60))
    fixture.runner.end("job-0", 0)
    fixture.clock.advance(120)
    assert fixture.get_end() == ("Complete", "CompletionsReached")


def test_a_deadline_counts_from_when_the_job_was_last_resumed(fixture: Fixture) -> None:
    fixture.runner.obeys = ContainerExit(143)
    fixture.create(a_training_job(1, activeDeadlineSeconds=60))
    fixture.clock.advance(50)
    set_suspended(fixture.cluster, "job", True)
    fixture.clock.advance(600)
    set_suspended(fixture.cluster, "job", False)
    fixture.clock.advance(59)
    assert (fixture.get_indexes(), fixture.get_end()) == ([0], None)
    fixture.clock.advance(1)
    assert fixture.get_end() == ("Failed", "DeadlineExceeded")


def test_a_deadline_that_is_raised_while_the_job_runs_counts(fixture: Fixture) -> None:
    fixture.runner.obeys = ContainerExit(143)
    fixture.create(a_training_job(1, activeDeadlineSeconds=60))
    key = ObjectKey("Job", "default", "job")
    fixture.cluster.store.update(key, lambda job: job["spec"].update(activeDeadlineSeconds=90))
    fixture.cluster.settle()
    fixture.clock.advance(89)
    assert fixture.get_end() is None
    fixture.clock.advance(1)
    assert fixture.get_end() == ("Failed", "DeadlineExceeded")
