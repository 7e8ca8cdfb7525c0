"""How attempts end: every outcome, and what is the root when several pods end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.report import Failure
from deepsynth_operator.core.observed import ObservedJob, ObservedPod
from deepsynth_operator.decisions.shared.decision import DeleteJob
from support.clocks.manual_clock import START
from support.control.seen import (
    COMPLETE_JOB,
    FAILED_JOB,
    RUNNING_JOB,
    a_live_run,
    a_pod,
    a_report,
    an_ended_pod,
    decide,
    follow,
    get_attempt,
)

DELETING = START + timedelta(seconds=300)
EVICTED: Any = {"disruption": "EvictionByEvictionAPI", "deletion": DELETING}
BY_MESSAGE = replace(FAILED_JOB, failure_message="Pod default/x has condition DisruptionTarget matching FailJob rule")


@pytest.mark.parametrize(
    ("job", "pods", "outcome", "reason", "exit_code"),
    [
        (COMPLETE_JOB, [an_ended_pod(0, 0), an_ended_pod(1, 0)], "Succeeded", "Succeeded", 0),
        (None, [], "Disrupted", "JobDeleted", None),
        (None, [an_ended_pod(0, 1, gone=True)], "Disrupted", "JobDeleted", None),
        (FAILED_JOB, [an_ended_pod(0, 143, **EVICTED), an_ended_pod(1, 69)], "Disrupted", "Evicted", 143),
        (FAILED_JOB, [an_ended_pod(0, 1, **EVICTED), an_ended_pod(1, 1)], "Disrupted", "Evicted", 1),
        (FAILED_JOB, [an_ended_pod(0, 0, **EVICTED), an_ended_pod(1, 79)], "Disrupted", "Evicted", 0),
        (BY_MESSAGE, [an_ended_pod(1, 1)], "Disrupted", "PodDisrupted", None),
        (FAILED_JOB, [an_ended_pod(0, 79), an_ended_pod(1, 1)], "Hung", "Hung", 79),
        (FAILED_JOB, [an_ended_pod(0, 1), an_ended_pod(1, 69)], "Failed", "NonZeroExit", 1),
        (FAILED_JOB, [an_ended_pod(0, 75), an_ended_pod(1, 69)], "Failed", "TemporaryFailure", 75),
        (FAILED_JOB, [an_ended_pod(0, 137, exit_reason="OOMKilled")], "Failed", "OutOfMemory", 137),
        (FAILED_JOB, [an_ended_pod(0, 137, exit_reason="OOMKilled", deletion=DELETING)], "Failed", "OutOfMemory", 137),
        (FAILED_JOB, [an_ended_pod(0, 137)], "Failed", "NonZeroExit", 137),
        (FAILED_JOB, [an_ended_pod(0, 137, deletion=DELETING)], "Disrupted", "PodDeleted", None),
        (FAILED_JOB, [an_ended_pod(0, 75, deletion=DELETING)], "Disrupted", "PodDeleted", None),
        (FAILED_JOB, [an_ended_pod(0, 1, deletion=DELETING)], "Failed", "NonZeroExit", 1),
        (FAILED_JOB, [an_ended_pod(0, 143, deletion=DELETING)], "Disrupted", "PodDeleted", None),
        (FAILED_JOB, [an_ended_pod(0, 143)], "Disrupted", "Stopped", 143),
        (FAILED_JOB, [an_ended_pod(0, 69)], "Disrupted", "PeerLost", 69),
        (FAILED_JOB, [a_pod(0, phase="Failed", phase_reason="OutOfcpu")], "Disrupted", "OutOfcpu", None),
        (FAILED_JOB, [], "Disrupted", "PodDeleted", None),
        (replace(RUNNING_JOB, suspended=True), [a_pod()], "Suspended", "RequeuedByQueue", None),
    ],
)
def test_an_attempt_ends_with_the_outcome_of_its_root_cause(
    job: ObservedJob | None, pods: list[ObservedPod], outcome: str, reason: str, exit_code: int | None
) -> None:
    attempt = get_attempt(decide(a_live_run(), job, pods))
    assert (attempt.outcome, attempt.reason, attempt.exit_code) == (outcome, reason, exit_code)
    assert attempt.end_time is not None


@pytest.mark.parametrize(
    ("disruption", "reason"),
    [
        ("PreemptionByScheduler", "Preempted"),
        ("DeletionByTaintManager", "NodeLost"),
        ("DeletionByPodGC", "NodeLost"),
        ("TerminationByKubelet", "TerminatedByNode"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_a_disruption_is_named_after_what_took_the_pod_away(disruption: str, reason: str) -> None:
    attempt = get_attempt(decide(a_live_run(), FAILED_JOB, [an_ended_pod(0, 1, disruption=disruption)]))
    assert (attempt.outcome, attempt.reason) == ("Disrupted", reason)


def test_the_earliest_failure_is_the_root_cause_and_its_report_gives_the_details() -> None:
    failure = Failure(reason="CudaOutOfMemory", message="rank 5: out of memory", exit_code=1, rank=5, node="n7", step=9)
    pods = [an_ended_pod(0, 1, after=9), an_ended_pod(1, 1, after=4, report=a_report(9, failure))]
    attempt = get_attempt(decide(a_live_run(), FAILED_JOB, pods))
    assert (attempt.reason, attempt.rank, attempt.node, attempt.failed_step) == ("CudaOutOfMemory", 5, "node-1", 9)


def test_a_hang_of_a_known_rank_replaces_that_of_a_node_that_waited_for_it() -> None:
    unknown = Failure(reason="Hung", message="an unknown rank hangs", exit_code=79, step=9)
    known = Failure(reason="Hung", message="rank 1 sent no heartbeat", exit_code=79, rank=1, node="n1", step=9)
    waiting = an_ended_pod(0, 79, after=1, report=a_report(9, unknown))
    stopped = an_ended_pod(1, 79, after=4, report=a_report(9, known))
    assert get_attempt(decide(a_live_run(), FAILED_JOB, [waiting, stopped])).rank == 1
    first = decide(a_live_run(), RUNNING_JOB, [waiting, a_pod(1)])
    assert (get_attempt(first).outcome, get_attempt(first).rank) == ("Hung", None)
    assert get_attempt(decide(follow(a_live_run(), first), FAILED_JOB, [waiting, stopped])).rank == 1
    assert get_attempt(decide(a_live_run(), FAILED_JOB, [waiting, an_ended_pod(1, 69)])).node == "node-0"


def a_hang(rank: int, seconds: int | None, *, stopped: bool = False) -> Any:
    """A pod that reports a hang of `rank`, whose last heartbeat was `seconds` after the start."""
    heard = None if seconds is None else START + timedelta(seconds=seconds)
    failure = Failure(
        reason="Hung",
        message=f"rank {rank} sent no heartbeat",
        exit_code=79,
        rank=rank,
        node=f"n{rank}",
        last_heartbeat=heard,
        is_stopped=stopped,
    )
    return an_ended_pod(rank, 79, after=600, report=a_report(9, failure))


@pytest.mark.parametrize(
    ("pods", "rank"),
    [
        ([a_hang(0, 50), a_hang(1, 10)], 1),
        ([a_hang(0, 10), a_hang(1, None)], 0),
        ([a_hang(0, 10), a_hang(1, 500, stopped=True)], 1),
        ([a_hang(0, 10), a_hang(1, 12)], None),
        ([a_hang(0, None), a_hang(1, None)], None),
    ],
    ids=["silent first", "of older pods no time", "stopped", "too close", "no times"],
)
def test_of_ranks_that_several_nodes_name_the_one_that_was_silent_first_hangs(
    pods: list[Any], rank: int | None
) -> None:
    attempt = get_attempt(decide(a_live_run(), FAILED_JOB, pods))
    assert (attempt.outcome, attempt.rank) == ("Hung", rank)
    if rank is None:
        assert attempt.message is not None
        assert "rank 0 on node-0, rank 1 on node-1" in attempt.message


def test_a_stopped_rank_that_is_seen_later_replaces_one_that_only_seemed_to_hang() -> None:
    first = decide(a_live_run(), RUNNING_JOB, [a_hang(0, 10), a_pod(1)])
    assert get_attempt(first).rank == 0
    second = decide(follow(a_live_run(), first), FAILED_JOB, [a_hang(0, 10), a_hang(1, 11, stopped=True)])
    assert get_attempt(second).rank == 1


@pytest.mark.parametrize(("second", "rank"), [(10, 1), (49, None), (300, 0)])
def test_a_node_that_reports_its_hang_later_is_compared_with_the_one_seen_first(second: int, rank: int | None) -> None:
    """The two pods end at different moments, so the controller sees one of them alone."""
    first = decide(a_live_run(), RUNNING_JOB, [a_hang(0, 50), a_pod(1)])
    assert get_attempt(first).rank == 0
    both = [a_hang(0, 50), a_hang(1, second)]
    after = decide(follow(a_live_run(), first), FAILED_JOB, both)
    assert get_attempt(after).rank == rank
    assert get_attempt(decide(follow(a_live_run(), after), FAILED_JOB, both)).rank == rank


def test_a_rank_that_hangs_is_kept_even_if_only_the_pod_of_another_is_left() -> None:
    first = decide(a_live_run(), RUNNING_JOB, [a_hang(0, 10), a_pod(1)])
    assert get_attempt(decide(follow(a_live_run(), first), FAILED_JOB, [a_hang(1, 5)])).rank == 0


def test_a_cause_is_kept_even_if_its_pod_disappears() -> None:
    run = a_live_run()
    first = decide(run, RUNNING_JOB, [an_ended_pod(0, 1), a_pod(1)])
    assert (get_attempt(first).outcome, get_attempt(first).end_time) == ("Failed", None)
    assert first.status.failures == 0, "it counts when the attempt is over"
    second = decide(follow(run, first), FAILED_JOB, [])
    assert (get_attempt(second).outcome, second.status.failures) == ("Failed", 1)


def test_a_cause_is_kept_even_if_the_job_disappears() -> None:
    run = a_live_run()
    first = decide(run, RUNNING_JOB, [an_ended_pod(0, 79)])
    assert get_attempt(decide(follow(run, first), None)).outcome == "Hung"


def test_a_disruption_seen_later_outranks_the_failure_it_caused() -> None:
    run = a_live_run()
    first = decide(run, RUNNING_JOB, [a_pod(0), an_ended_pod(1, 1)])
    second = decide(follow(run, first), FAILED_JOB, [an_ended_pod(0, 143, **EVICTED), an_ended_pod(1, 1)])
    assert (get_attempt(second).outcome, second.status.failures) == ("Disrupted", 0)


def test_an_earlier_failure_seen_later_replaces_the_later_one() -> None:
    run = a_live_run()
    first = decide(run, RUNNING_JOB, [a_pod(0), an_ended_pod(1, 75, after=9)])
    second = decide(follow(run, first), FAILED_JOB, [an_ended_pod(0, 1, after=5), an_ended_pod(1, 75, after=9)])
    assert get_attempt(second).exit_code == 1


def test_an_evicted_attempt_that_still_completes_has_succeeded() -> None:
    run = a_live_run()
    first = decide(run, RUNNING_JOB, [a_pod(0, **EVICTED), a_pod(1)])
    assert get_attempt(first).outcome == "Disrupted"
    second = decide(follow(run, first), COMPLETE_JOB, [an_ended_pod(0, 0, **EVICTED), an_ended_pod(1, 0)])
    assert (get_attempt(second).outcome, second.status.state) == ("Succeeded", "Complete")


def test_a_failed_job_is_not_over_until_the_cache_shows_its_exit_codes() -> None:
    decision = decide(a_live_run(), FAILED_JOB, [an_ended_pod(0, 69)], after=5)
    assert get_attempt(decision).end_time is None
    later = decide(a_live_run(), FAILED_JOB, [], after=11)
    assert get_attempt(later).reason == "PodDeleted"


@pytest.mark.parametrize(("ready", "after", "lost"), [(False, 330, True), (None, 330, True), (False, 329, False)])
def test_a_pod_stuck_in_terminating_on_a_dead_node_ends_the_attempt(
    ready: bool | None, after: float, lost: bool
) -> None:
    decision = decide(a_live_run(), RUNNING_JOB, [a_pod(0, deletion=DELETING, node_ready=ready), a_pod(1)], after)
    assert (get_attempt(decision).reason == "NodeLost") == lost
    assert (DeleteJob(RUNNING_JOB.name, "job-1") in decision.actions) == lost


def test_a_slow_pod_on_a_ready_node_does_not_end_the_attempt() -> None:
    decision = decide(a_live_run(), RUNNING_JOB, [a_pod(0, deletion=DELETING, node_ready=True)], after=400)
    assert get_attempt(decision).outcome is None


def test_an_outcome_is_final_even_if_pods_report_something_else_later() -> None:
    run = a_live_run(suspend=True)
    first = decide(run, RUNNING_JOB, [a_pod(0), a_pod(1)])
    second = decide(follow(run, first), None, [an_ended_pod(0, 1, gone=True)])
    assert (get_attempt(second).outcome, second.status.failures) == ("Suspended", 0)


def test_a_failed_job_is_not_over_while_the_cache_shows_running_pods() -> None:
    """A finished Job has no pod at work, so the watch of pods is behind: exit codes are still to come."""
    job = replace(FAILED_JOB, finished=START + timedelta(seconds=50))
    stale = [a_pod(0), a_pod(1)]
    run = a_live_run()
    for after in (61, 400):
        decision = decide(run, job, stale, after)
        assert get_attempt(decision).outcome is None
        run = follow(run, decision)
    caught_up = decide(run, job, [an_ended_pod(0, 65), a_pod(1)], 401)
    assert (get_attempt(caught_up).outcome, get_attempt(caught_up).reason) == ("Failed", "BadData")
    assert get_attempt(decide(run, job, stale, 410)).outcome == "Disrupted"
