"""spec.datasets and spec.model.trainingRunRef: waiting for what other resources produce, and pinning it.

The run waits for a DatasetGeneration that is missing, unfinished or failed: it can still be applied, or deleted and
applied again. What was pinned once stays pinned, even if the other resource changes or disappears.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deepsynth_api.conditions import ConditionType, find_condition, is_true
from deepsynth_api.reasons import Reason
from deepsynth_api.report import TrainReport
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run import Dataset, TrainingRunReference, TrainingRunSpec
from deepsynth_api.v1alpha1.training_run_status import ModelOutput, PinnedDataset
from deepsynth_operator.core.observed import ObservedPod, ObservedRun
from deepsynth_operator.decisions.shared.conditions import is_finished
from deepsynth_operator.decisions.shared.status_budget import measure_status

MAX_PINNED_BYTES: Final = 24_576
"""Of the datasets in the status. 32 of them may have URIs of 700 characters each, or of 110 that take six bytes."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
FAILED_WAITS: Final = frozenset({Reason.DATASET_FAILED, Reason.DATASETS_TOO_LONG, Reason.MODEL_FAILED})
"""The run waits until a user fixes something."""
WAITS: Final = FAILED_WAITS | {
    Reason.DATASET_NOT_FOUND,
    Reason.DATASET_NOT_COMPLETE,
    Reason.MODEL_NOT_FOUND,
    Reason.MODEL_NOT_COMPLETE,
}


@dataclass(frozen=True, slots=True)
class Wait:
    """What a run waits for before its first attempt."""

    reason: str
    message: str
    for_dataset: bool = True


def find_wait(observed: ObservedRun) -> Wait | None:
    """The first thing that is missing; None when everything can be pinned."""
    for dataset in observed.run.spec.datasets:
        if (wait := _find_dataset_wait(dataset, observed)) is not None:
            return wait
    return _find_model_wait(observed) or _find_size_wait(observed)


def pin_inputs(status: TrainingRunStatus, observed: ObservedRun) -> TrainingRunStatus:
    """Record what every attempt will read. Call it only when `find_wait` returns None."""
    model = _find_model(observed.run.spec.model.training_run_ref, observed.model_run)
    return status.updated(datasets=[_pin(dataset, observed) for dataset in observed.run.spec.datasets], model=model)


def pin_reported(status: TrainingRunStatus, spec: TrainingRunSpec, pods: Iterable[ObservedPod]) -> TrainingRunStatus:
    """`status` with the revisions that the trainer found where the spec names a branch or none; each only once."""
    reports = [pod.report.train for pod in pods if pod.report is not None and pod.report.train is not None]
    if status.model is None:
        status = status.updated(model=_find_reported_model(spec.model.uri, reports))
    found = {(pin.name, pin.uri): pin for train in reports for pin in train.datasets if pin.revision}
    written = {dataset.name: dataset for dataset in spec.datasets}
    return status.updated(
        datasets=[
            found.get((pin.name, pin.uri), pin) if _is_as_written(pin, written.get(pin.name)) else pin
            for pin in status.datasets
        ]
    )


def _find_reported_model(uri: str | None, reports: Iterable[TrainReport]) -> ModelOutput | None:
    """The commit of the model at `uri`, or its digest in an object store. Reports are untrusted input, so nothing else
    is taken from them.
    """
    found = (report.model for report in reports if report.model is not None and report.model.uri == uri)
    commits = (model.revision for model in found if model.revision and _COMMIT.fullmatch(model.revision))
    return next((ModelOutput(uri=uri, revision=commit) for commit in commits if uri), None)


def _is_as_written(pin: PinnedDataset, dataset: Dataset | None) -> bool:
    """Whether it is not resolved yet: it says what the spec says, not what a DatasetGeneration or a trainer found."""
    return dataset is not None and dataset.dataset_generation_ref is None and pin.revision == dataset.revision


def describe_pinned(status: TrainingRunStatus) -> str:
    """Every dataset with its revision."""
    return ", ".join(
        f"{item.name}: {item.uri}" + (f"@{item.revision}" if item.revision else "") for item in status.datasets
    )


def _find_dataset_wait(dataset: Dataset, observed: ObservedRun) -> Wait | None:
    reference = dataset.dataset_generation_ref
    if reference is None:
        return None
    generation = observed.generations.get(reference.name)
    if generation is None:
        return Wait(
            Reason.DATASET_NOT_FOUND, f"dataset {dataset.name}: there is no DatasetGeneration {reference.name} yet"
        )
    if is_true(generation.status.conditions, ConditionType.FAILED):
        return _describe_failed(dataset, generation)
    if not is_true(generation.status.conditions, ConditionType.COMPLETE) or generation.status.output is None:
        state = generation.status.state or "Pending"
        return Wait(
            Reason.DATASET_NOT_COMPLETE, f"dataset {dataset.name}: DatasetGeneration {reference.name} is {state}"
        )
    return None


def _describe_failed(dataset: Dataset, generation: DatasetGeneration) -> Wait:
    failed = find_condition(generation.status.conditions, ConditionType.FAILED)
    cause = failed.message if failed else ""
    remedy = "fix it, then delete and re-apply it; this run keeps waiting"
    name = generation.metadata.name
    return Wait(Reason.DATASET_FAILED, f"dataset {dataset.name}: DatasetGeneration {name} failed: {cause}; {remedy}")


def _find_model_wait(observed: ObservedRun) -> Wait | None:
    reference = observed.run.spec.model.training_run_ref
    if reference is None:
        return None
    other = observed.model_run
    if other is None:
        return Wait(Reason.MODEL_NOT_FOUND, f"model: there is no TrainingRun {reference.name} yet", for_dataset=False)
    if reference.checkpoint is not None:
        return _find_checkpoint_wait(reference, other)
    if is_true(other.status.conditions, ConditionType.FAILED):
        remedy = "change what made it fail, or delete and re-apply it; this run keeps waiting"
        return Wait(Reason.MODEL_FAILED, f"model: TrainingRun {reference.name} failed; {remedy}", for_dataset=False)
    if not is_true(other.status.conditions, ConditionType.COMPLETE) or other.status.output is None:
        state = other.status.state or "Pending"
        return Wait(Reason.MODEL_NOT_COMPLETE, f"model: TrainingRun {reference.name} is {state}", for_dataset=False)
    return None


def _find_size_wait(observed: ObservedRun) -> Wait | None:
    """What is pinned stays in the status, so it is the one part of it that cannot be cut."""
    pins = [_pin(dataset, observed) for dataset in observed.run.spec.datasets]
    size = measure_status(TrainingRunStatus(datasets=pins))
    if size <= MAX_PINNED_BYTES:
        return None
    remedy = f"use shorter URIs, or fewer datasets: together they must take at most {MAX_PINNED_BYTES} bytes"
    return Wait(
        Reason.DATASETS_TOO_LONG, f"the names and URIs of spec.datasets take {size} bytes in the status; {remedy}"
    )


def _find_checkpoint_wait(reference: TrainingRunReference, other: TrainingRun) -> Wait | None:
    """The other run need not be Complete, but it must have the checkpoint, with a model in it."""
    if other.spec.model.lora is not None or other.spec.sharding == "full":
        holds = "only adapters" if other.spec.model.lora is not None else "no model, because of sharding full"
        remedy = "remove trainingRunRef.checkpoint to start from its final model"
        message = f"model: the checkpoints of TrainingRun {reference.name} hold {holds}; {remedy}"
        return Wait(Reason.MODEL_FAILED, message, for_dataset=False)
    if _find_model(reference, other) is not None:
        return None
    steps = ", ".join(f"step-{checkpoint.step}" for checkpoint in other.status.checkpoints[:5]) or "none yet"
    message = f"model: TrainingRun {reference.name} has no checkpoint {reference.checkpoint}; it has {steps}"
    reason = Reason.MODEL_FAILED if is_finished(other.status.conditions) else Reason.MODEL_NOT_COMPLETE
    return Wait(reason, message, for_dataset=False)


def _find_model(reference: TrainingRunReference | None, other: TrainingRun | None) -> ModelOutput | None:
    """The final model of the other run, or that of one of its checkpoints."""
    if reference is None or other is None:
        return None
    status = other.status
    if reference.checkpoint is None:
        return ModelOutput(uri=status.output.uri, revision=status.output.revision) if status.output else None
    newest_first = sorted(status.checkpoints, key=lambda checkpoint: -checkpoint.step)
    found = {f"step-{checkpoint.step}": checkpoint for checkpoint in newest_first}
    if newest_first:
        found["latest"] = newest_first[0]
    if status.best_checkpoint is not None:
        found["best"] = status.best_checkpoint
    checkpoint = found.get(reference.checkpoint)
    return ModelOutput(uri=f"{checkpoint.uri}/model", step=checkpoint.step) if checkpoint is not None else None


def _pin(dataset: Dataset, observed: ObservedRun) -> PinnedDataset:
    reference = dataset.dataset_generation_ref
    output = observed.generations[reference.name].status.output if reference else None
    if output is not None:
        return PinnedDataset(name=dataset.name, uri=output.uri, revision=output.revision, rows=output.rows)
    return PinnedDataset(name=dataset.name, uri=dataset.uri or "", revision=dataset.revision)
