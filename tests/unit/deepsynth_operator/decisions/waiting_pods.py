"""Runs and generations whose pods wait, for tests of what keeps them from starting."""

from datetime import timedelta
from typing import Any

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_operator.core.observed import Children, ObservedGeneration, ObservedJob, ObservedPod
from deepsynth_operator.decisions.dataset_generation.decide import decide_generation
from deepsynth_operator.decisions.shared.decision import Decision, Event
from deepsynth_operator.decisions.training_run.attempts import replace_last
from support.clocks.manual_clock import START
from support.control.seen import SETTINGS, a_live_run, a_pod
from support.resources.builders import a_dataset_generation

SECRET = {"waiting_reason": "CreateContainerConfigError", "waiting_message": 'secret "hugging-face" not found'}


IMAGE = {"waiting_reason": "ImagePullBackOff", "waiting_message": 'Back-off pulling image "nowhere/gpu:1"'}


PULL = {"waiting_reason": "ErrImagePull", "waiting_message": "failed to resolve nowhere/gpu:1"}


FULL: dict[str, Any] = {
    "unschedulable": "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.",
    "node": None,
    "scheduled": None,
}


def a_starting_run() -> TrainingRun:
    run = a_live_run(startTimeoutSeconds=600, backoffLimit=3)
    return run.updated(status=replace_last(run.status, run.status.attempts[0].updated(running_time=None)))


def a_waiting_pod(index: int = 0, **fields: Any) -> ObservedPod:
    return a_pod(index, phase="Pending", started=None, **fields)


def get_reason(decision: Decision[Any]) -> tuple[str, str]:
    condition = find_condition(decision.status.conditions, ConditionType.COMPLETE)
    assert condition is not None
    return condition.reason, condition.message


def get_warnings(decision: Decision[Any]) -> list[Event]:
    return [event for event in decision.events if event.type == "Warning"]


def a_live_generation(step: str = "plan") -> DatasetGeneration:
    job = {"step": step, "name": f"xsum-{step}-1", "number": 1, "startTime": START, "uid": "job-1", "image": "i"}
    return a_dataset_generation().with_status(startTime=START, jobs=[job]).build()


def decide_on(generation: DatasetGeneration, pods: list[ObservedPod], after: float) -> Decision[Any]:
    entry = generation.status.jobs[-1]
    job = ObservedJob(name=entry.name, uid="job-1", step=entry.step, started=START, parallelism=1)
    observed = ObservedGeneration(generation, Children((job,), tuple(pods)))
    return decide_generation(observed, SETTINGS, START + timedelta(seconds=after))


def a_generation_pod(fields: dict[str, Any], index: int = 0, step: str = "plan") -> ObservedPod:
    name = f"xsum-{step}-1"
    waiting: dict[str, Any] = {"phase": "Pending", "created": START, "scheduled": START, **fields}
    return ObservedPod(f"{name}-{index}", f"pod-{index}", name, index, **waiting)
