"""What ends a run for good."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.report import Failure
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_api.v1alpha1.training_run import Dataset
from deepsynth_api.v1alpha1.training_run_status import PinnedDataset
from deepsynth_operator.core.observed import ObservedRun
from deepsynth_operator.decisions.shared.decision import DeleteJob
from deepsynth_operator.decisions.shared.policies import first_match
from deepsynth_operator.decisions.training_run.policies import FAILURE_POLICIES
from deepsynth_operator.decisions.training_run.view import RunView
from support.clocks.manual_clock import START
from support.control.seen import (
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
from unit.deepsynth_operator.decisions.attempt_histories import with_attempts


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
def test_failures_and_attempts_without_progress_fail_a_run_and_disruptions_do_not_count(
    outcomes: list[str], reason: str | None
) -> None:
    run = with_attempts(*outcomes, backoffLimit=3)
    verdict = first_match(FAILURE_POLICIES, RunView(ObservedRun(run), run.status, START))
    assert (verdict.reason if verdict else None) == reason


@pytest.mark.parametrize(
    "message",
    [
        "spec.datasets[pages].uri: pvc://data/pages has no such revision (404)",
        "spec.datasets[pages].uri: pvc://data/pages not found (no folder or file /data/pages)",
        "pvc://data/pages has changed: expected revision a, got b; restore the earlier content",
    ],
)
def test_a_run_whose_pages_were_deleted_names_the_generation_that_published_them(message: str) -> None:
    dataset = Dataset.model_validate({"name": "pages", "datasetGenerationRef": {"name": "my-articles"}})
    pinned = PinnedDataset(name="pages", uri="pvc://data/pages", revision="a")
    for uri, is_named in (("pvc://data/pages", True), ("pvc://data/other", False)):
        run = a_live_run()
        run = run.updated(spec=run.spec.updated(datasets=[dataset]), status=run.status.updated(datasets=[pinned]))
        failure = Failure(reason="BadData", message=message.replace("pvc://data/pages", uri), exit_code=65)
        decision = decide(run, FAILED_JOB, [an_ended_pod(0, 65, report=a_report(failure=failure))])
        failed = next(condition for condition in decision.status.conditions if condition.type == "Failed")
        assert ("DatasetGeneration my-articles published these pages" in failed.message) is is_named
        assert ("delete it and this run, and apply both again" in failed.message) is is_named


@pytest.mark.parametrize(("code", "reason"), [(64, "BadConfiguration"), (65, "BadData"), (70, "InternalError")])
def test_a_permanent_exit_code_fails_the_run_at_once(code: int, reason: str) -> None:
    failure = Failure(reason=reason, message="spec.prompt: too long; shorten it", exit_code=code)
    decision = decide(a_live_run(), FAILED_JOB, [an_ended_pod(0, code, report=a_report(failure=failure))])
    failed = next(condition for condition in decision.status.conditions if condition.type == "Failed")
    assert (decision.status.state, failed.status, failed.reason) == ("Failed", "True", reason)
    assert "spec.prompt: too long; shorten it" in failed.message
    assert decision.status.completion_time == START + timedelta(seconds=60)


def test_a_non_finite_loss_twice_at_the_same_step_fails_the_run() -> None:
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


def test_a_full_gpu_twice_after_the_same_step_fails_the_run() -> None:
    def fail(run: TrainingRun, step: int | None, code: int = 75) -> Any:
        failure = Failure(reason="OutOfMemory", message="GPU memory is full; lower", exit_code=code, step=step)
        job = run.status.attempts[-1].job
        pod = replace(an_ended_pod(0, code, report=a_report(step or 0, failure)), job=job)
        return decide(run, replace(FAILED_JOB, name=job), [pod])

    for step in (0, 7):
        first = fail(a_live_run(), step)
        assert first.status.state == "Restarting", "a neighbour on the GPU may have taken the memory"
        run = follow(a_live_run(), first)
        second = follow(run, decide(run, replace(FAILED_JOB), [], after=100))
        assert fail(second, step + 1).status.state == "Restarting"
        assert fail(second, step, code=137).status.state == "Restarting"
        assert fail(second, None).status.state == "Restarting"
        last = fail(second, step)
        assert last.status.state == "Failed"
        condition = next(condition for condition in last.status.conditions if condition.type == "Failed")
        assert condition.reason == "OutOfMemory"
        assert f"twice after step {step}; attempt 2 Failed: OutOfMemory" in condition.message


def test_the_deadline_fails_a_run_and_stops_its_job() -> None:
    run = a_live_run(activeDeadlineSeconds=100)
    assert decide(run, RUNNING_JOB, [a_pod(0), a_pod(1)], after=99).requeue_after == 1
    decision = decide(run, RUNNING_JOB, [a_pod(0), a_pod(1)], after=100)
    assert (decision.status.state, get_attempt(decision).reason) == ("Failed", "DeadlineExceeded")
    assert decision.actions == (DeleteJob(RUNNING_JOB.name, "job-1"),)
