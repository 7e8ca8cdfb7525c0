"""spec.elastic: an attempt starts with fewer nodes, and a later one tries all of them again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_api.v1alpha1.training_run_status import TrainingProgress
from deepsynth_operator.core.observed import ObservedPod
from deepsynth_operator.decisions.shared.decision import DeleteJob, HoldJob
from deepsynth_operator.decisions.training_run.attempts import replace_last
from support.clocks.manual_clock import START
from support.control.seen import RUNNING_JOB, a_live_run, a_pod, a_report, decide, follow, get_attempt
from unit.deepsynth_operator.decisions.attempt_histories import NO_PLACE

ELASTIC = {"minNodes": 1, "scaleDownAfterSeconds": 60, "scaleUpAfterSeconds": 1800}
HALF = [a_pod(0), a_pod(1, phase="Pending", started=None, **NO_PLACE)]
QUEUED_JOB = replace(RUNNING_JOB, queue_labels={QUEUE_NAME: "team"}, replaces_pods=True, was_admitted=True)


def a_starting_run(**spec: Any) -> TrainingRun:
    run = a_live_run(**{"elastic": ELASTIC, **spec})
    attempt = run.status.attempts[0].updated(nodes=2, running_time=None)
    return run.updated(status=replace_last(run.status, attempt))


def a_small_run(tries: int = 1, saved_step: int | None = 5, **elastic: Any) -> TrainingRun:
    """A run whose last attempt works with one of two nodes since START; `tries` for two nodes were in vain before."""
    run = a_live_run(elastic={**ELASTIC, **elastic})
    working = run.status.attempts[0].updated(number=2 * tries + 1, nodes=1, saved_step=saved_step)
    vain = [
        working.updated(
            number=number,
            job=f"j{number}",
            end_time=START,
            outcome="Suspended",
            nodes=nodes,
            reason=reason,
            running_time=None if nodes == 2 else START,
            scheduled_nodes=scheduled,
        )
        for number in range(1, 2 * tries + 1)
        for nodes, reason, scheduled in [(2, "FewerNodes", 1) if number % 2 else (1, "ScaleUp", None)]
    ]
    return run.updated(status=run.status.updated(attempts=[*vain, working]))


def test_an_attempt_whose_pods_do_not_all_find_a_node_is_followed_by_a_smaller_one() -> None:
    run = a_starting_run()
    assert get_attempt(decide(run, RUNNING_JOB, HALF, after=59)).outcome is None
    ended = decide(run, RUNNING_JOB, HALF, after=60)
    attempt = get_attempt(ended)
    assert (attempt.outcome, attempt.reason, attempt.scheduled_nodes) == ("Suspended", "FewerNodes", 1)
    assert attempt.message == "1 of 2 pods found a node within 60 s; the next attempt has as many"
    assert (ended.status.failures, ended.status.restarts, ended.status.attempts_without_progress) == (0, 0, 0)
    following = decide(follow(run, ended), None, after=61)
    assert get_attempt(following, 2).nodes == 1
    assert following.status.summary.nodes == "1/2"


@pytest.mark.parametrize(
    ("spec", "pods"),
    [
        ({"elastic": None}, HALF),
        ({"elastic": {**ELASTIC, "minNodes": 2}}, HALF),
        ({}, [replace(pod, node=None, scheduled=None, started=None) for pod in HALF]),
        ({}, [a_pod(0), a_pod(1, phase="Pending", started=None, waiting_reason="ContainerCreating")]),
        ({}, [replace(HALF[0], deletion=START + timedelta(seconds=590)), HALF[1]]),
    ],
    ids=["not elastic", "too few", "no node at all", "slow to start", "the only one is being deleted"],
)
def test_an_attempt_waits_for_its_pods(spec: dict[str, Any], pods: list[ObservedPod]) -> None:
    assert get_attempt(decide(a_starting_run(**spec), RUNNING_JOB, pods, after=599)).outcome is None


def test_the_start_timeout_limits_how_long_an_attempt_waits_for_more_nodes() -> None:
    run = a_starting_run(elastic={**ELASTIC, "scaleDownAfterSeconds": 3600}, startTimeoutSeconds=300)
    assert get_attempt(decide(run, RUNNING_JOB, HALF, after=299)).outcome is None
    assert get_attempt(decide(run, RUNNING_JOB, HALF, after=300)).reason == "FewerNodes"


def test_in_a_queue_an_attempt_waits_for_the_nodes_that_were_admitted() -> None:
    assert get_attempt(decide(a_starting_run(), QUEUED_JOB, HALF, after=599)).outcome is None
    assert get_attempt(decide(a_small_run(), replace(QUEUED_JOB, completions=1), [a_pod()], 99_999), 3).outcome is None


def test_pods_that_a_quota_of_the_namespace_refuses_count_as_missing_nodes() -> None:
    assert get_attempt(decide(a_starting_run(), RUNNING_JOB, HALF[:1], after=60)).scheduled_nodes == 1


def test_an_attempt_that_is_ending_for_another_reason_keeps_it() -> None:
    run = a_starting_run()
    ending = run.status.attempts[0].updated(outcome="Disrupted", reason="Evicted")
    run = run.updated(status=replace_last(run.status, ending))
    attempt = get_attempt(decide(run, RUNNING_JOB, HALF, after=60))
    assert (attempt.reason, attempt.end_time) == ("Evicted", None)


def test_what_an_attempt_found_is_believed_for_ten_minutes() -> None:
    run = a_starting_run()
    run = follow(run, decide(run, RUNNING_JOB, HALF, after=60))
    run = run.updated(spec=run.spec.updated(suspend=True))
    run = follow(run, decide(run, None, after=61))
    run = run.updated(spec=run.spec.updated(suspend=False))
    assert get_attempt(decide(run, None, after=600), 2).nodes == 1
    assert get_attempt(decide(run, None, after=700), 2).nodes == 2


def test_a_smaller_attempt_saves_and_stops_to_try_all_nodes_again() -> None:
    run = a_small_run()
    working = decide(run, RUNNING_JOB, [a_pod()], after=1799)
    assert get_attempt(working, 3).outcome is None
    assert working.status.conditions[0].message == "attempt 3; 1 of 2 nodes, tries 2 after 02 Jan 03:30:00 UTC"
    ended = decide(run, RUNNING_JOB, [a_pod()], after=1800)
    attempt = get_attempt(ended, 3)
    assert (attempt.outcome, attempt.reason) == ("Suspended", "ScaleUp")
    assert (ended.status.failures, ended.status.restarts, ended.status.attempts_without_progress) == (0, 0, 0)
    assert get_attempt(decide(follow(run, ended), None, after=1801), 4).nodes == 2


def test_an_attempt_without_a_checkpoint_is_not_stopped_for_more_nodes() -> None:
    run = a_small_run(saved_step=None)
    report = a_report(5, saved_step=5)
    assert get_attempt(decide(run, RUNNING_JOB, [a_pod()], after=99_999), 3).outcome is None
    assert get_attempt(decide(run, RUNNING_JOB, [a_pod(report=report)], after=99_999), 3).reason == "ScaleUp"


@pytest.mark.parametrize(("tries", "seconds"), [(1, 600), (2, 1200), (3, 2400), (4, 4800), (5, 4800)])
def test_each_try_in_vain_doubles_the_time_until_the_next_one(tries: int, seconds: int) -> None:
    run = a_small_run(tries, scaleUpAfterSeconds=600)
    number = 2 * tries + 1
    assert get_attempt(decide(run, RUNNING_JOB, [a_pod()], after=seconds - 1), number).outcome is None
    assert get_attempt(decide(run, RUNNING_JOB, [a_pod()], after=seconds), number).reason == "ScaleUp"


def test_a_run_that_has_had_all_nodes_tries_them_again_after_the_first_delay() -> None:
    run = a_small_run(3)
    attempts = run.status.attempts
    whole = attempts[2].updated(reason="Evicted", outcome="Disrupted", running_time=START)
    run = run.updated(status=run.status.updated(attempts=[*attempts[:2], whole, *attempts[3:]]))
    assert get_attempt(decide(run, RUNNING_JOB, [a_pod()], after=3600), 7).reason == "ScaleUp"


def test_an_attempt_after_a_failure_tries_all_nodes_first() -> None:
    run = a_small_run()
    lost = decide(run, None, after=60)
    assert get_attempt(lost, 3).reason == "JobDeleted"
    assert get_attempt(decide(follow(run, lost), None, after=120), 4).nodes == 2


@pytest.mark.parametrize(("seconds", "reason"), [(599, ""), (600, "ScaleUp")])
def test_a_run_that_is_nearly_done_does_not_stop_for_more_nodes(seconds: int, reason: str) -> None:
    run = a_small_run()
    now = START + timedelta(seconds=1800)
    progress = TrainingProgress(step=90, total_steps=100, estimated_completion_time=now + timedelta(seconds=seconds))
    run = run.updated(status=run.status.updated(progress=progress))
    assert get_attempt(decide(run, RUNNING_JOB, [a_pod()], after=1800), 3).reason == reason


@pytest.mark.parametrize(("pods", "is_kept"), [(2, True), (3, False)])
def test_a_job_of_another_size_is_not_restarted_in_place(pods: int, is_kept: bool) -> None:
    run = a_live_run()
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(nodes=2)))
    job = replace(QUEUED_JOB, parallelism=pods, completions=pods)
    evicted = [a_pod(index, phase="Failed", exit_code=143, disruption="EvictionByEvictionAPI") for index in range(pods)]
    ended = decide(run, job, evicted)
    assert get_attempt(ended).outcome == "Disrupted"
    assert [type(action) for action in ended.actions] == [HoldJob if is_kept else DeleteJob]
