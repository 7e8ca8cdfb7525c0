"""Attempts that start in the pods of the one before."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.report import Failure, Report, Restart
from deepsynth_api.v1alpha1 import Attempt, TrainingRun
from deepsynth_operator.decisions.shared.decision import CreateJob, Decision, DeleteJob
from support.clocks.manual_clock import START
from support.control.seen import (
    JOB,
    RUNNING_JOB,
    a_live_run,
    a_pod,
    a_report,
    an_ended_pod,
    decide,
    follow,
    get_attempt,
)


def a_restart(after: float = 10, **fields: Any) -> Restart:
    """Rank 3 was killed, `after` seconds from START."""
    failure = {"reason": "WorkerKilled", "message": "rank 3 was killed", "exit_code": 137, "rank": 3, "node": "node-1"}
    return Restart.model_validate({"failure": failure, "time": START + timedelta(seconds=after), "step": 7, **fields})


def a_restarted_report(*restarts: Restart, step: int = 0, failure: Failure | None = None, **train: Any) -> Report:
    return a_report(step, failure, **train).updated(restarts=list(restarts))


def look(run: TrainingRun, *restarts: Restart, after: float = 60, **train: Any) -> Decision[Any]:
    """What the operator decides when both pods report these restarts."""
    report = a_restarted_report(*restarts, **train)
    return decide(run, RUNNING_JOB, [a_pod(0, report=report), a_pod(1, report=report)], after)


def list_numbers(decision: Decision[Any]) -> list[tuple[int, str | None, bool]]:
    return [(item.number, item.outcome, bool(item.in_place)) for item in decision.status.attempts]


def test_a_restart_in_place_is_a_failed_attempt_and_another_one_in_its_pods() -> None:
    decision = look(a_live_run(), a_restart())
    first, second = decision.status.attempts
    assert (first.outcome, first.reason, first.exit_code) == ("Failed", "WorkerKilled", 137)
    assert (first.rank, first.node, first.last_step) == (3, "node-1", 7)
    assert first.end_time == second.start_time == START + timedelta(seconds=10)
    assert (second.number, second.job, second.job_uid, second.in_place) == (2, JOB, "job-1", True)
    assert (decision.status.restarts, decision.status.failures, decision.status.attempts_without_progress) == (1, 1, 1)
    assert decision.actions == ()
    assert decision.status.state in {"Starting", "Running"}


def test_each_restart_is_counted_once_however_often_it_is_reported() -> None:
    run = follow(a_live_run(), look(a_live_run(), a_restart()))
    run = follow(run, look(run, a_restart(), after=70))
    assert [item.number for item in run.status.attempts] == [1, 2]
    decision = look(run, a_restart(), a_restart(80), a_restart(90), after=100)
    assert list_numbers(decision) == [(1, "Failed", False), (2, "Failed", True), (3, "Failed", True), (4, None, True)]
    assert (decision.status.failures, decision.status.restarts) == (3, 3)


def test_events_say_which_attempt_failed_and_that_the_next_one_has_the_same_pods() -> None:
    messages = [event.message for event in look(a_live_run(), a_restart()).events]
    assert "attempt 1 Failed: WorkerKilled (rank 3, node node-1, exit code 137): rank 3 was killed" in messages
    assert f"attempt 2: in the pods of Job {JOB}" in messages


def test_the_gpu_time_of_both_attempts_is_that_of_the_pods() -> None:
    run = a_live_run(resourcesPerNode={"limits": {"nvidia.com/gpu": 4}})
    restart = a_restart(40, saved_step=5, saved_time=START + timedelta(seconds=30), resumed_from_step=0)
    run = follow(run, look(run, restart))
    pods = [an_ended_pod(index, 0, after=100) for index in (0, 1)]
    job = replace(RUNNING_JOB, is_complete=True, finished=START + timedelta(seconds=100))
    report = a_restarted_report(restart, step=100, saved_step=100)
    decision = decide(run, job, [replace(pod, report=report) for pod in pods], after=100)
    first, second = decision.status.attempts
    assert (first.gpu_seconds, first.lost_gpu_seconds) == (8 * 40, 8 * 10)
    assert (second.gpu_seconds, second.lost_gpu_seconds) == (8 * 60, 0)
    assert decision.status.usage.gpu_seconds == 8 * 100


def test_a_checkpoint_that_was_saved_before_the_restart_counts_as_progress() -> None:
    decision = look(a_live_run(), a_restart(saved_step=5, saved_time=START + timedelta(seconds=4), resumed_from_step=0))
    attempt = get_attempt(decision)
    assert (attempt.saved_step, attempt.saved_time) == (5, START + timedelta(seconds=4))
    assert (decision.status.saved_step, decision.status.attempts_without_progress) == (5, 0)


def test_a_job_that_fails_after_restarts_in_place_ends_the_last_attempt() -> None:
    """Nobody looked before: the termination message says all."""
    failure = Failure(reason="UnexpectedError", message="a bug", exit_code=75, rank=0)
    report = a_restarted_report(a_restart(10), a_restart(20), failure=failure)
    pods = [an_ended_pod(0, 75, after=30, report=report), an_ended_pod(1, 69, after=40)]
    job = replace(RUNNING_JOB, is_failed=True, finished=START + timedelta(seconds=41))
    decision = decide(a_live_run(), job, pods, after=60)
    assert list_numbers(decision) == [(1, "Failed", False), (2, "Failed", True), (3, "Failed", True)]
    assert get_attempt(decision, 3).reason == "UnexpectedError"
    assert decision.status.failures == 3


def test_the_attempt_after_one_in_place_has_a_job_of_its_own_and_the_next_number() -> None:
    run = follow(a_live_run(), look(a_live_run(), a_restart()))
    job = replace(RUNNING_JOB, is_failed=True, finished=START + timedelta(seconds=100))
    pods = [an_ended_pod(index, 137, after=100, report=a_restarted_report(a_restart())) for index in (0, 1)]
    run = follow(run, decide(run, job, pods, after=110))
    decision = decide(run, None, [], after=1000)
    last = decision.status.attempts[-1]
    assert (last.number, last.job, last.in_place) == (3, "read-xsum-train-3", None)
    assert CreateJob("read-xsum-train-3") in decision.actions


@pytest.mark.parametrize(
    ("spec", "state", "reason"),
    [({"backoffLimit": 0}, "Failed", "BackoffLimitExceeded"), ({"suspend": True}, "Suspended", "SuspendedByUser")],
)
def test_no_attempt_starts_in_place_where_no_job_would_be_made(spec: dict[str, Any], state: str, reason: str) -> None:
    decision = look(a_live_run(**spec), a_restart())
    assert list_numbers(decision) == [(1, "Failed", False)]
    assert (decision.status.state, decision.status.summary.reason) == (state, reason)
    assert decision.actions == (DeleteJob(JOB, "job-1"),)


def test_changed_settings_take_effect_with_a_new_job_and_not_in_place() -> None:
    run = a_live_run()
    settings = [{"name": "maxSteps", "value": "10"}]
    run = run.updated(status=type(run.status).model_validate({**run.status.to_dict(), "settings": settings}))
    decision = look(run, a_restart())
    assert list_numbers(decision) == [(1, "Failed", False)]
    assert decision.status.state == "Restarting"
    assert decision.actions == (DeleteJob(JOB, "job-1"),)


def test_a_report_of_before_the_restart_does_not_set_the_step_of_the_attempt_after_it() -> None:
    run = follow(a_live_run(), look(a_live_run(), a_restart(), step=0))
    decision = decide(run, RUNNING_JOB, [a_pod(0, report=a_report(50)), a_pod(1)], after=70)
    assert get_attempt(decision, 2).last_step == 0


def test_a_report_cannot_name_a_node_without_a_pod_nor_a_time_outside_the_attempt() -> None:
    failure = Failure(reason="WorkerKilled", message="", exit_code=137, node="another-node")
    attempt = get_attempt(look(a_live_run(), Restart(failure=failure, time=START - timedelta(days=1))))
    assert (attempt.node, attempt.end_time) == (None, START)
    attempt = get_attempt(look(a_live_run(), a_restart(after=1_000_000)))
    assert attempt.end_time == START + timedelta(seconds=60)


def test_a_pod_that_is_evicted_after_a_restart_disrupts_the_attempt_in_place() -> None:
    run = follow(a_live_run(), look(a_live_run(), a_restart()))
    evicted = an_ended_pod(0, 143, after=90, disruption="EvictionByEvictionAPI")
    job = replace(RUNNING_JOB, is_failed=True, finished=START + timedelta(seconds=91))
    decision = decide(run, job, [replace(evicted, report=a_restarted_report(a_restart())), an_ended_pod(1, 69)], 120)
    last: Attempt = decision.status.attempts[-1]
    assert (last.number, last.outcome, last.reason) == (2, "Disrupted", "Evicted")
    assert decision.status.failures == 1
