"""spec.model.trainingRunRef: what a run starts from, and what it waits for."""

from typing import Any

import pytest

from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.observed import ObservedRun
from deepsynth_operator.decisions.training_run.inputs import find_wait, pin_inputs
from support.clocks.manual_clock import START
from support.resources.builders import a_training_run


def a_teacher(*steps: int, best: int | None = None, condition: str = "", **spec: Any) -> TrainingRun:
    checkpoints = [{"step": step, "uri": f"pvc://teacher/step-{step}", "time": START} for step in steps]
    status: dict[str, Any] = {"checkpoints": checkpoints, "state": "Running"}
    if best is not None:
        status["bestCheckpoint"] = next(item for item in checkpoints if item["step"] == best)
    if condition:
        entry = {"type": condition, "status": "True", "reason": condition, "lastTransitionTime": START}
        status |= {"conditions": [entry], "output": {"uri": "pvc://teacher/model"}}
    return a_training_run("teacher").with_spec(**spec).with_status(**status).build()


def observe(teacher: TrainingRun, checkpoint: str) -> ObservedRun:
    reference = {"name": "teacher", "checkpoint": checkpoint}
    return ObservedRun(a_training_run().with_spec(model={"trainingRunRef": reference}).build(), model_run=teacher)


@pytest.mark.parametrize(("checkpoint", "step"), [("latest", 30), ("best", 20), ("step-10", 10)])
@pytest.mark.parametrize("condition", ["", "Complete", "Failed"])
def test_a_run_starts_from_a_checkpoint_of_a_run_in_any_state(checkpoint: str, step: int, condition: str) -> None:
    observed = observe(a_teacher(30, 20, 10, best=20, condition=condition), checkpoint)
    assert find_wait(observed) is None
    model = pin_inputs(observed.run.status, observed).model
    assert model is not None
    assert (model.uri, model.step) == (f"pvc://teacher/step-{step}/model", step)


@pytest.mark.parametrize(
    ("condition", "reason"), [("", "ModelNotComplete"), ("Complete", "ModelFailed"), ("Failed", "ModelFailed")]
)
def test_a_run_waits_for_a_checkpoint_that_is_missing_and_lists_those_there_are(condition: str, reason: str) -> None:
    wait = find_wait(observe(a_teacher(30, 20, condition=condition), "step-7"))
    assert wait is not None
    assert wait.reason == reason
    assert wait.message == "model: TrainingRun teacher has no checkpoint step-7; it has step-30, step-20"
    assert find_wait(observe(a_teacher(), "best")) is not None


@pytest.mark.parametrize("spec", [{"sharding": "full"}, {"model": {"uri": "hf://a/b", "lora": {}}}])
def test_checkpoints_without_a_whole_model_are_named_as_such(spec: dict[str, Any]) -> None:
    wait = find_wait(observe(a_teacher(30, condition="Complete", **spec), "latest"))
    assert wait is not None
    assert (wait.reason, "remove trainingRunRef.checkpoint" in wait.message) == ("ModelFailed", True)
