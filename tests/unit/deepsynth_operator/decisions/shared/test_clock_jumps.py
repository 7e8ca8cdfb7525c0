"""The clock of the operator was ahead for a while: nothing waits until the time that it showed."""

from datetime import timedelta

from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob
from deepsynth_operator.core.observed import ObservedGeneration
from deepsynth_operator.decisions.dataset_generation.decide import decide_generation
from support.clocks.manual_clock import START
from support.control.seen import RUNNING_JOB, SETTINGS, a_live_run, a_pod, a_report, decide, follow, get_attempt
from support.resources.builders import a_dataset_generation
from unit.deepsynth_operator.decisions.attempt_histories import with_attempts

HOUR = 3600


def test_an_attempt_that_ended_an_hour_ahead_does_not_delay_the_next_one() -> None:
    run = with_attempts("Disrupted")
    ahead = run.status.attempts[-1].updated(end_time=START + timedelta(seconds=HOUR))
    run = run.updated(status=run.status.updated(attempts=[ahead]))
    assert get_attempt(decide(run, None, after=0), 2).outcome is None


def test_the_clock_of_another_operator_may_be_a_few_seconds_ahead() -> None:
    run = with_attempts("Disrupted")
    assert [attempt.number for attempt in decide(run, None, after=-5).status.attempts] == [1]


def test_a_step_that_ended_an_hour_ahead_does_not_delay_the_next_one() -> None:
    ended = ChildJob(step="plan", name="p", number=1, start_time=START, uid="u", image="i").updated(
        outcome="Disrupted", reason="NodeLost", end_time=START + timedelta(seconds=HOUR)
    )
    generation = a_dataset_generation().with_status(startTime=START, jobs=[ended.to_dict()]).build()
    decision = decide_generation(ObservedGeneration(generation), SETTINGS, START)
    assert [job.number for job in decision.status.jobs] == [1, 2]


def test_progress_that_was_written_an_hour_ahead_does_not_hold_back_newer_one() -> None:
    run = a_live_run()
    ahead = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=a_report(10)), a_pod(1)], after=HOUR))
    assert ahead.status.progress is not None
    later = decide(ahead, RUNNING_JOB, [a_pod(0, report=a_report(20)), a_pod(1)], after=60).status
    assert later.progress is not None
    assert later.progress.step == 20


def test_the_uid_of_a_job_that_was_created_an_hour_ahead_is_written() -> None:
    run = a_live_run()
    ahead = run.status.attempts[-1].updated(
        start_time=START + timedelta(seconds=HOUR), job_uid="", held_time=None, running_time=None
    )
    run = run.updated(status=run.status.updated(attempts=[ahead]))
    created = follow(run, decide(run, None, after=HOUR))
    assert get_attempt(decide(created, RUNNING_JOB, [a_pod(0)], after=60)).job_uid == "job-1"
