"""Events of a DatasetGeneration: steps, failed pods, and what both kinds show."""

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob
from deepsynth_operator.decisions.dataset_generation.describe import describe_ahead, describe_dropped
from deepsynth_operator.decisions.dataset_generation.jobs import get_ahead, list_jobs
from deepsynth_operator.decisions.shared.decision import Event
from deepsynth_operator.decisions.shared.events import describe_obstacle, describe_transitions


def compute_generation_events(old: DatasetGenerationStatus, new: DatasetGenerationStatus) -> tuple[Event, ...]:
    """What `new` says and `old` did not."""
    known = {job.name for job in list_jobs(old)}
    started = (job for job in list_jobs(new) if job.name not in known)
    return (
        *(Event("Normal", Reason.STEP_STARTED, _describe_start(job, new)) for job in started),
        *_describe_failure(old, new),
        *describe_obstacle(old.conditions, new.conditions),
        *describe_transitions(old.conditions, new.conditions),
        *_describe_dropped(old, new),
    )


def _describe_start(job: ChildJob, status: DatasetGenerationStatus) -> str:
    ahead = f"; {describe_ahead(job)}" if job == get_ahead(status) else ""
    return f"{job.step}: Job {job.name}{ahead}"


def _describe_failure(old: DatasetGenerationStatus, new: DatasetGenerationStatus) -> list[Event]:
    failure = new.last_failure
    if failure is None or failure == old.last_failure:
        return []
    where = failure.step if failure.index is None else f"{failure.step}, shard {failure.index}"
    return [Event("Warning", failure.reason, f"{where}: {failure.message}")]


def _describe_dropped(old: DatasetGenerationStatus, new: DatasetGenerationStatus) -> list[Event]:
    """Limits of length and duplicates may drop nearly all rows: a user who named a wrong column should notice."""
    if new.output is None or old.output is not None or new.progress is None:
        return []
    dropped = sum(entry.rows for entry in new.progress.dropped)
    if dropped <= new.output.rows:
        return []
    message = (
        f"only {new.output.rows} of {new.output.rows + dropped} rows became documents"
        f"{describe_dropped(new.progress)}; see spec.filters and spec.source.columns"
    )
    return [Event("Warning", Reason.MANY_ROWS_DROPPED, message)]
