"""Whether and when there is another attempt, and what ends a run or an attempt although nothing failed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.report import Failure
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.observed import ObservedRun, Refusal
from deepsynth_operator.decisions.shared.decision import CreateJob, DeleteJob
from deepsynth_operator.decisions.shared.numbers import format_duration, format_number
from deepsynth_operator.decisions.shared.policies import first_match
from deepsynth_operator.decisions.training_run.attempts import end_attempt, replace_last
from deepsynth_operator.decisions.training_run.policies import FAILURE_POLICIES
from deepsynth_operator.decisions.training_run.starts import compute_due_time
from deepsynth_operator.decisions.training_run.view import RunView
from support.builders import a_training_run
from support.manual_clock import START
from support.seen import FAILED_JOB, RUNNING_JOB, a_live_run, a_pod, a_report, an_ended_pod, decide, follow, get_attempt

NO_PLACE: dict[str, Any] = {"node": None, "scheduled": None, "unschedulable": "0/2 nodes: Insufficient nvidia.com/gpu"}


def with_attempts(
    *outcomes: str, saved: bool = False, name: str = "read-xsum", uid: str = "u1", **spec: Any
) -> TrainingRun:
    """A run after attempts with these outcomes, given as Outcome or Outcome/Reason, each ended at START."""
    run = a_training_run().named(name, uid=uid).with_spec(**spec).with_status(startTime=START).build()
    for number, text in enumerate(outcomes, 1):
        outcome, _, reason = text.partition("/")
        entry = {"number": number, "startTime": START, "job": f"j{number}", "outcome": outcome, "reason": reason}
        attempt = a_training_run().with_status(attempts=[entry]).build().status.attempts[0]
        status = run.status.updated(attempts=[*run.status.attempts, attempt])
        ended = attempt.updated(saved_step=number if saved else None)
        run = run.updated(status=end_attempt(replace_last(status, ended), ended, START))
    return run


@pytest.mark.parametrize(
    ("outcomes", "seconds"),
    [
        (["Disrupted"], 10),
        (["Failed", "Disrupted"], 20),
        (["Failed"] * 4, 80),
        (["Disrupted"] * 7, 600),
        (["Disrupted"] * 9, 600),
        (["Suspended/SuspendedByUser"], 0),
    ],
)
def test_the_delay_doubles_from_10_seconds_to_10_minutes(outcomes: list[str], seconds: int) -> None:
    run = with_attempts(*outcomes)
    assert compute_due_time(run, run.status) == START + timedelta(seconds=seconds)


def test_a_new_checkpoint_resets_the_delay_and_the_count_of_fruitless_attempts() -> None:
    run = with_attempts("Failed", "Failed", "Failed", saved=True)
    assert run.status.attempts_without_progress == 0
    assert compute_due_time(run, run.status) == START + timedelta(seconds=10)


def test_two_gangs_that_block_each_other_do_not_retry_at_the_same_time() -> None:
    runs = [with_attempts("Disrupted/NotStarted", uid=uid) for uid in ("u1", "u2", "u3")]
    due = [compute_due_time(run, run.status) for run in runs]
    assert len(set(due)) == 3
    assert all(START + timedelta(seconds=10) <= time <= START + timedelta(seconds=130) for time in due)


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        (["Failed"] * 3, None),
        (["Failed"] * 4, "BackoffLimitExceeded"),
        (["Hung", "Failed", "Hung", "Failed"], "BackoffLimitExceeded"),
        (["Disrupted"] * 9, None),
        (["Disrupted"] * 10, "NoProgress"),
        (["Suspended/SuspendedByUser"] * 12, None),
        (["Suspended/RequeuedByQueue"] * 12, None),
        (["Failed", *["Disrupted"] * 9], "NoProgress"),
    ],
)
def test_failures_and_fruitless_attempts_end_a_run_and_disruptions_alone_never_count(
    outcomes: list[str], reason: str | None
) -> None:
    run = with_attempts(*outcomes, backoffLimit=3)
    verdict = first_match(FAILURE_POLICIES, RunView(ObservedRun(run), run.status, START))
    assert (verdict.reason if verdict else None) == reason


@pytest.mark.parametrize(("code", "reason"), [(64, "BadConfiguration"), (65, "BadData"), (70, "InternalError")])
def test_a_permanent_exit_code_fails_the_run_at_once(code: int, reason: str) -> None:
    failure = Failure(reason=reason, message="spec.prompt: too long; shorten it", exit_code=code)
    decision = decide(a_live_run(), FAILED_JOB, [an_ended_pod(0, code, report=a_report(failure=failure))])
    failed = next(condition for condition in decision.status.conditions if condition.type == "Failed")
    assert (decision.status.state, failed.status, failed.reason) == ("Failed", "True", reason)
    assert "spec.prompt: too long; shorten it" in failed.message
    assert decision.status.completion_time == START + timedelta(seconds=60)


def test_a_loss_that_is_not_finite_twice_at_the_same_step_is_permanent() -> None:
    def fail(run: TrainingRun, step: int) -> Any:
        failure = Failure(reason="NonFiniteLoss", message="loss is nan", exit_code=1, step=step)
        job = run.status.attempts[-1].job
        pod = replace(an_ended_pod(0, 1, report=a_report(step, failure)), job=job)
        return decide(run, replace(FAILED_JOB, name=job), [pod])

    first = fail(a_live_run(), 7)
    assert first.status.state == "Restarting"
    run = follow(a_live_run(), first)
    second = follow(run, decide(run, replace(FAILED_JOB), [], after=100))
    assert fail(second, 8).status.state == "Restarting"
    assert fail(second, 7).status.state == "Failed"
    assert "step 7" in fail(second, 7).status.conditions[0].message


def test_the_deadline_fails_a_run_and_stops_its_job() -> None:
    run = a_live_run(activeDeadlineSeconds=100)
    assert decide(run, RUNNING_JOB, [a_pod(0), a_pod(1)], after=99).requeue_after == 1
    decision = decide(run, RUNNING_JOB, [a_pod(0), a_pod(1)], after=100)
    assert (decision.status.state, get_attempt(decision).reason) == ("Failed", "DeadlineExceeded")
    assert decision.actions == (DeleteJob(RUNNING_JOB.name, "job-1"),)


@pytest.mark.parametrize(
    ("fields", "outcome", "reason"),
    [
        ({"waiting_reason": "ImagePullBackOff", "waiting_message": "no such image"}, "Failed", "ImagePullBackOff"),
        ({"waiting_reason": "CreateContainerConfigError"}, "Failed", "CreateContainerConfigError"),
        ({"waiting_reason": "ContainerCreating"}, "Disrupted", "NotStarted"),
        (NO_PLACE, "Disrupted", "NotStarted"),
    ],
)
def test_pods_that_do_not_all_run_in_time_end_the_attempt(fields: dict[str, Any], outcome: str, reason: str) -> None:
    run = a_live_run(startTimeoutSeconds=600)
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(running_time=None)))
    pods = [a_pod(0), a_pod(1, phase="Pending", started=None, **fields)]
    assert get_attempt(decide(run, RUNNING_JOB, pods, after=599)).outcome is None
    attempt = get_attempt(decide(run, RUNNING_JOB, pods, after=600))
    assert (attempt.outcome, attempt.reason) == (outcome, reason)
    assert (fields.get("unschedulable") or fields.get("waiting_message") or "") in attempt.message


def test_pods_that_hold_no_node_wait_for_one_without_an_end() -> None:
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
def test_a_child_that_the_api_server_refuses_ends_the_attempt(refusal: Refusal, state: str) -> None:
    from deepsynth_operator.decisions.training_run.decide import decide_run
    from support.seen import SETTINGS

    run = a_live_run()
    run = run.updated(status=replace_last(run.status, run.status.attempts[0].updated(job_uid="")))
    assert decide(run, None).actions == (CreateJob(RUNNING_JOB.name),)
    decision = decide_run(ObservedRun(run, refusal=refusal), SETTINGS, START)
    assert (decision.status.state, get_attempt(decision).reason) == (state, refusal.reason)
    assert decision.actions == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (59, "59s"),
        (60, "1m"),
        (5999, "99m"),
        (6000, "1h40m"),
        (7200, "2h"),
        (7500, "2h5m"),
        (200000, "2d7h"),
    ],
)
def test_durations_read_as_kubectl_prints_ages(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"), [(None, ""), (1.8342345, "1.83"), (0.00021, "0.00021"), (1260.4, "1260"), (99.94, "99.9")]
)
def test_numbers_have_three_digits(number: float | None, text: str) -> None:
    assert format_number(number) == text
