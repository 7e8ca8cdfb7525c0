"""The deadline also holds while the controller is down: Jobs have it too, and their end is shown as the resource's."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt, DatasetGeneration
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob
from deepsynth_operator.core.observed import Children, ObservedGeneration, ObservedJob
from deepsynth_operator.decisions.dataset_generation.decide import decide_generation
from deepsynth_operator.decisions.shared.ends import CACHE_LAG, JOB_DEADLINE
from deepsynth_operator.manifests.render_job import build_render_job
from deepsynth_operator.manifests.train_job import build_train_job
from support.clocks.manual_clock import START
from support.control.seen import FAILED_JOB, RUNNING_JOB, SETTINGS, a_live_run, decide, follow, get_attempt
from support.resources.builders import a_dataset_generation, a_training_run

ENDED = replace(
    FAILED_JOB, failure_reason=JOB_DEADLINE, failure_message="Job was active longer than specified deadline"
)
DEADLINE = 3600


def after(seconds: float) -> ObservedJob:
    return replace(ENDED, finished=START + timedelta(seconds=seconds))


def a_planning_generation() -> DatasetGeneration:
    job = {"step": "plan", "name": "xsum-plan-1", "uid": "job-1", "startTime": START, "runningTime": START}
    spec = a_dataset_generation().with_spec(activeDeadlineSeconds=DEADLINE)
    return spec.with_status(startTime=START, jobs=[job]).build()


def test_a_run_whose_job_ended_at_the_deadline_has_exceeded_it() -> None:
    decision = decide(a_live_run(activeDeadlineSeconds=DEADLINE), after(DEADLINE + 1), after=DEADLINE + 7200)
    assert (decision.status.state, decision.status.conditions[0].reason) == ("Failed", Reason.DEADLINE_EXCEEDED)
    assert "activeDeadlineSeconds" in decision.status.conditions[0].message


def test_a_generation_whose_job_ended_at_the_deadline_has_exceeded_it() -> None:
    generation, job = a_planning_generation(), replace(after(DEADLINE + 1), name="xsum-plan-1")
    observed = ObservedGeneration(generation, Children(jobs=(job,)))
    decision = decide_generation(observed, SETTINGS, START + timedelta(seconds=DEADLINE + 7200))
    assert (decision.status.state, decision.status.conditions[0].reason) == ("Failed", Reason.DEADLINE_EXCEEDED)


def test_a_clock_that_is_ahead_does_not_start_another_attempt() -> None:
    run, lag = a_live_run(activeDeadlineSeconds=DEADLINE), CACHE_LAG.total_seconds()
    first = decide(run, after(DEADLINE - 3 - lag), after=DEADLINE - 3)
    assert get_attempt(first).reason == Reason.DEADLINE_EXCEEDED
    second = decide(follow(run, first), after(DEADLINE - 3 - lag), after=DEADLINE + 1)
    assert second.status.state == "Failed"
    assert len(second.status.attempts) == 1


def test_a_deadline_that_was_raised_meanwhile_disrupts_the_attempt_and_is_no_failure() -> None:
    decision = decide(a_live_run(activeDeadlineSeconds=10 * DEADLINE), after(DEADLINE), after=DEADLINE + 60)
    assert (get_attempt(decision).outcome, decision.status.failures) == ("Disrupted", 0)
    assert decision.status.state == "Restarting"


@pytest.mark.parametrize(("begin", "left"), [(0, DEADLINE), (600, DEADLINE - 600), (DEADLINE + 5, 1)])
def test_a_job_gets_what_is_left_of_the_deadline(begin: int, left: int) -> None:
    start = START + timedelta(seconds=begin)
    run = a_training_run().with_spec(activeDeadlineSeconds=DEADLINE).with_status(startTime=START).build()
    job = build_train_job(run, Attempt(number=1, start_time=start, job="j", image="i"))
    entry = ChildJob(step="plan", name="j", start_time=start, image="i")
    for spec in (job["spec"], build_render_job(a_planning_generation(), entry, 1)["spec"]):
        assert spec["activeDeadlineSeconds"] == left


def test_a_job_has_no_deadline_if_the_resource_has_none() -> None:
    run: Any = a_training_run().with_status(startTime=START).build()
    job = build_train_job(run, Attempt(number=1, start_time=START, job="j", image="i"))
    assert "activeDeadlineSeconds" not in job["spec"]
    assert RUNNING_JOB.failure_reason == ""
