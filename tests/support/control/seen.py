"""Observed values for tests of decisions: one run with one live attempt, its Job and its pods."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from deepsynth_api.report import Failure, Report, TrainReport
from deepsynth_api.v1alpha1 import Attempt, TrainingRun
from deepsynth_operator.core.observed import Children, ObservedJob, ObservedPod, ObservedRun
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.shared.decision import Decision
from deepsynth_operator.decisions.training_run.decide import decide_run
from support.clocks.manual_clock import START
from support.resources.builders import a_training_run

SETTINGS = Settings(render_image="example/cpu:1", train_image="example/gpu:1")
JOB = "read-xsum-train-1"
RUNNING_JOB = ObservedJob(name=JOB, uid="job-1", step="train", started=START, completions=2, parallelism=2)
FAILED_JOB = replace(
    RUNNING_JOB, is_failing=True, is_failed=True, failure_reason="BackoffLimitExceeded", finished=START
)
COMPLETE_JOB = replace(RUNNING_JOB, is_complete=True, finished=START)


def a_live_run(**spec: Any) -> TrainingRun:
    """A run of two pods whose first attempt has been running since START."""
    attempt = {
        "number": 1,
        "startTime": START,
        "heldTime": START,
        "runningTime": START,
        "job": JOB,
        "jobUid": "job-1",
        "image": "example/gpu:1",
    }
    return a_training_run().with_spec(numNodes=2, **spec).with_status(startTime=START, attempts=[attempt]).build()


def a_pod(index: int = 0, **fields: Any) -> ObservedPod:
    """A running pod of the first attempt."""
    pod = ObservedPod(f"{JOB}-{index}", f"pod-{index}", JOB, index, "Running", created=START, started=START)
    return replace(pod, **{"node": f"node-{index}", "scheduled": START, **fields})


def an_ended_pod(index: int = 0, exit_code: int = 1, *, after: float = 0, **fields: Any) -> ObservedPod:
    """A pod whose container ended, `after` seconds from START."""
    phase = "Succeeded" if exit_code == 0 else "Failed"
    ended: dict[str, Any] = {"phase": phase, "exit_code": exit_code, "exit_reason": "Error"}
    return replace(a_pod(index), **{**ended, "finished": START + timedelta(seconds=after), **fields})


def a_report(step: int = 0, failure: Failure | None = None, **train: Any) -> Report:
    fields = {"attempt": 1, "phase": "step", "step": step, "total_steps": 100, **train}
    return Report(step="train", time=START, train=TrainReport.model_validate(fields), failure=failure)


def decide(
    run: TrainingRun, job: ObservedJob | None, pods: Sequence[ObservedPod] = (), after: float = 60
) -> Decision[Any]:
    """The decision `after` seconds from START."""
    children = Children(jobs=(job,) if job else (), pods=tuple(pods))
    return decide_run(ObservedRun(run, children), SETTINGS, START + timedelta(seconds=after))


def follow(run: TrainingRun, decision: Decision[Any]) -> TrainingRun:
    """The run once the decision's status is written."""
    return run.updated(status=decision.status)


def get_attempt(decision: Decision[Any], number: int = 1) -> Attempt:
    attempt: Attempt = next(attempt for attempt in decision.status.attempts if attempt.number == number)
    return attempt
