"""What ends an attempt although nothing failed: pods that do not start, a Job that is refused."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from deepsynth_operator.core.observed import ObservedRun, Refusal
from deepsynth_operator.decisions.shared.decision import CreateJob
from deepsynth_operator.decisions.training_run.attempts import replace_last
from support.clocks.manual_clock import START
from support.control.seen import (
    COMPLETE_JOB,
    RUNNING_JOB,
    a_live_run,
    a_pod,
    a_report,
    an_ended_pod,
    decide,
    follow,
    get_attempt,
)
from unit.deepsynth_operator.decisions.attempt_histories import NO_PLACE


@pytest.mark.parametrize(
    ("fields", "outcome", "reason"),
    [
        ({"waiting_reason": "ImagePullBackOff", "waiting_message": "no such image"}, "Failed", "ImagePullBackOff"),
        ({"waiting_reason": "CreateContainerConfigError"}, "Failed", "CreateContainerConfigError"),
        ({"waiting_reason": "ContainerCreating"}, "Disrupted", "NotStarted"),
        (NO_PLACE, "Disrupted", "NotStarted"),
    ],
)
def test_an_attempt_ends_when_not_all_pods_run_in_time(fields: dict[str, Any], outcome: str, reason: str) -> None:
    run = a_live_run(startTimeoutSeconds=600)
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(running_time=None)))
    pods = [a_pod(0), a_pod(1, phase="Pending", started=None, **fields)]
    assert get_attempt(decide(run, RUNNING_JOB, pods, after=599)).outcome is None
    attempt = get_attempt(decide(run, RUNNING_JOB, pods, after=600))
    assert (attempt.outcome, attempt.reason) == (outcome, reason)
    assert (fields.get("unschedulable") or fields.get("waiting_message") or fields["waiting_reason"]) in attempt.message


def test_pods_without_a_node_wait_for_one_indefinitely() -> None:
    run = a_live_run(startTimeoutSeconds=600)
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(running_time=None)))
    waiting = [a_pod(index, phase="Pending", started=None, **NO_PLACE) for index in range(2)]
    decision = decide(run, RUNNING_JOB, waiting, after=100_000)
    assert get_attempt(decision).outcome is None
    assert decision.status.state == "Starting"
    first = replace(waiting[0], node="node-0", scheduled=START + timedelta(seconds=100_000), unschedulable=None)
    assert get_attempt(decide(run, RUNNING_JOB, [first, waiting[1]], after=100_599)).outcome is None
    assert get_attempt(decide(run, RUNNING_JOB, [first, waiting[1]], after=100_600)).reason == "NotStarted"


def test_pods_of_an_earlier_admission_hold_no_node() -> None:
    """The queue took the Job back before any container ran, and has admitted it again."""
    run = a_live_run(startTimeoutSeconds=600)
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(running_time=None)))
    gone = [a_pod(index, phase="Pending", started=None, gone=True) for index in range(2)]
    waiting = [
        replace(a_pod(index, phase="Pending", started=None, **NO_PLACE), uid=f"new-{index}") for index in range(2)
    ]
    assert get_attempt(decide(run, RUNNING_JOB, [*gone, *waiting], after=601)).outcome is None


def test_a_job_whose_pods_cannot_be_created_ends_after_the_start_timeout() -> None:
    run = a_live_run(startTimeoutSeconds=600)
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(running_time=None)))
    assert get_attempt(decide(run, RUNNING_JOB, [], after=599)).outcome is None
    assert get_attempt(decide(run, RUNNING_JOB, [], after=600)).reason == "NotStarted"


def test_the_start_timeout_begins_when_the_queue_admits_the_job_and_ends_when_all_pods_ran() -> None:
    run = a_live_run(startTimeoutSeconds=10)
    queued = replace(RUNNING_JOB, suspended=True, started=None)
    waiting = run.status.attempts[0].updated(running_time=None, held_time=None)
    unstarted = run.updated(status=replace_last(run.status, waiting))
    assert decide(unstarted, queued, [], after=9999).status.state == "Queued"
    assert get_attempt(decide(run, RUNNING_JOB, [a_pod(0)], after=9999)).outcome is None


@pytest.mark.parametrize(
    ("refusal", "state"),
    [(Refusal("CreationRefused", "denied by policy"), "Restarting"), (Refusal("BadConfiguration", "no", 64), "Failed")],
)
def test_a_refused_child_ends_the_attempt(refusal: Refusal, state: str) -> None:
    from deepsynth_operator.decisions.training_run.decide import decide_run
    from support.control.seen import SETTINGS

    run = a_live_run()
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(job_uid="")))
    assert decide(run, None).actions == (CreateJob(RUNNING_JOB.name),)
    decision = decide_run(ObservedRun(run, refusal=refusal), SETTINGS, START)
    assert (decision.status.state, get_attempt(decision).reason) == (state, refusal.reason)
    assert decision.actions == ()


def test_a_run_that_stopped_early_is_complete_and_says_so() -> None:
    run = a_live_run()
    output = ModelOutput(uri="pvc://runs/model", note="training stopped early at step 4 of 9" + "!" * 9999)
    seen = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=a_report(4, output=output)), a_pod(1)]))
    done = decide(seen, COMPLETE_JOB, [an_ended_pod(0, 0), an_ended_pod(1, 0)])
    complete = find_condition(done.status.conditions, ConditionType.COMPLETE)
    assert complete is not None
    assert (complete.status, complete.reason) == ("True", "Succeeded")
    assert complete.message.startswith("the model is at pvc://runs/model; training stopped early at step 4 of 9")
    assert len(complete.message) < 2000
