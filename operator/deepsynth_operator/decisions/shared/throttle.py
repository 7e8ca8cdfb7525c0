"""Few writes: transitions at once, mere progress at most every poll interval."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from deepsynth_api.v1alpha1 import DatasetGenerationStatus, TrainingRunStatus
from deepsynth_api.v1alpha1.dataset_generation_status import GenerationSummary
from deepsynth_api.v1alpha1.training_run_status import RunSummary, Usage

Status = TypeVar("Status", DatasetGenerationStatus, TrainingRunStatus)


def hold_back_run(old: TrainingRunStatus, new: TrainingRunStatus, interval: int, now: datetime) -> TrainingRunStatus:
    """`old` while only progress has changed and was written less than `interval` seconds ago, else `new`."""
    return _hold_back(old, new, _reduce_run, now - timedelta(seconds=interval))


def hold_back_generation(
    old: DatasetGenerationStatus, new: DatasetGenerationStatus, interval: int, now: datetime
) -> DatasetGenerationStatus:
    """`old` while only progress has changed and was written less than `interval` seconds ago, else `new`."""
    return _hold_back(old, new, _reduce_generation, now - timedelta(seconds=interval))


def _hold_back(old: Status, new: Status, reduce: Callable[[Status], Status], since: datetime) -> Status:
    recent = old.progress is not None and old.progress.updated_time is not None and old.progress.updated_time > since
    return old if recent and reduce(old) == reduce(new) else new


def _reduce_run(status: TrainingRunStatus) -> TrainingRunStatus:
    """`status` without what changes from step to step."""
    return status.updated(
        progress=None,
        metrics=[],
        usage=Usage(),
        summary=RunSummary(),
        attempts=[attempt.updated(last_step=None, gpu_seconds=0) for attempt in status.attempts],
        conditions=[condition.updated(message="") for condition in status.conditions],
    )


def _reduce_generation(status: DatasetGenerationStatus) -> DatasetGenerationStatus:
    """`status` without what changes from page to page."""
    return status.updated(
        progress=None,
        summary=GenerationSummary(),
        conditions=[condition.updated(message="") for condition in status.conditions],
    )
