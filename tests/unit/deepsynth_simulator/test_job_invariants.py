"""Invariants of Jobs in the simulator, after any events in any order: one pod per index, and one end."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_operator.core.completion_indexes import parse_indexes
from deepsynth_operator.core.observed import find_true_condition
from deepsynth_simulator.pod_fields import get_index
from support.cluster.cluster_faults import delete_pod, disrupt, find_pods, set_suspended
from unit.deepsynth_simulator.job_manifests import Fixture, a_render_job, a_training_job

PODS = 3
EXIT_CODES = st.sampled_from([0, 1, 64, 69, 75, 137, 143])
OPERATIONS = st.one_of(
    st.tuples(st.just("end"), st.integers(0, PODS - 1), EXIT_CODES),
    st.tuples(st.sampled_from(["disrupt", "delete"]), st.integers(0, PODS - 1)),
    st.tuples(st.just("suspend"), st.booleans()),
    st.tuples(st.just("advance"), st.sampled_from([1, 10, 400])),
)
JOBS = st.sampled_from([a_training_job(PODS), a_render_job(PODS), a_render_job(PODS, parallelism=1)])


def do(fixture: Fixture, operation: tuple[Any, ...]) -> None:
    match operation:
        case ("end", index, code) if is_living(fixture, index):
            fixture.runner.end(f"job-{index}", code)
        case ("disrupt", index) if is_living(fixture, index):
            disrupt(fixture.cluster, f"job-{index}")
        case ("delete", index) if is_living(fixture, index):
            delete_pod(fixture.cluster, f"job-{index}")
        case ("suspend", suspended):
            set_suspended(fixture.cluster, "job", suspended)
        case ("advance", seconds):
            fixture.clock.advance(seconds)


def is_living(fixture: Fixture, index: int) -> bool:
    return index in fixture.get_indexes()


def check(fixture: Fixture) -> None:
    job, status = fixture.get_job(), fixture.get_status()
    living = Counter(fixture.get_indexes())
    assert all(count == 1 for count in living.values()), "two pods of one index"
    assert living.total() <= job["spec"]["parallelism"]
    completed, failed = parse_indexes(status["completedIndexes"]), parse_indexes(status.get("failedIndexes", ""))
    assert not completed & failed
    assert not living.keys() & completed
    assert status["active"] + status["terminating"] == living.total()
    assert fixture.get_end() is None or not living, "finished while a pod still runs"
    if job["spec"].get("suspend"):
        assert status["active"] == 0


@settings(max_examples=80)
@given(job=JOBS, operations=st.lists(OPERATIONS, max_size=25))
def test_the_invariants_of_a_job_hold_after_any_events(job: dict[str, Any], operations: list[tuple[Any, ...]]) -> None:
    fixture = Fixture()
    fixture.create(job)
    end = None
    for operation in operations:
        do(fixture, operation)
        check(fixture)
        assert end in {None, fixture.get_end()}, "the end changed"
        end = fixture.get_end()


@settings(max_examples=40)
@given(operations=st.lists(OPERATIONS, max_size=25))
def test_a_shard_that_is_only_disrupted_completes_in_the_end(operations: list[tuple[Any, ...]]) -> None:
    fixture = Fixture()
    fixture.create(a_render_job(PODS, backoffLimitPerIndex=0))
    for operation in operations:
        if operation[0] != "delete" and not (operation[0] == "end" and operation[2] not in {0, 143}):
            do(fixture, operation)
    finish(fixture)
    assert fixture.get_end() == ("Complete", "CompletionsReached")


def finish(fixture: Fixture) -> None:
    """Let every pod that is being deleted stop, and every other pod succeed."""
    set_suspended(fixture.cluster, "job", False)
    for _ in range(3):
        for pod in find_pods(fixture.cluster):
            if pod["status"]["phase"] == "Running":
                code = 143 if "deletionTimestamp" in pod["metadata"] else 0
                fixture.runner.end(f"job-{get_index(pod)}", code)
        fixture.clock.advance(400)
    assert find_true_condition(fixture.get_job(), "Complete") is not None
