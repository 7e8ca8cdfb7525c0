"""status.summary: the strings of the printer columns. A column is one JSONPath and prints raw numbers."""

from datetime import datetime

from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus, TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.dataset_generation_status import GenerationSummary
from deepsynth_api.v1alpha1.training_run_status import RunSummary, TrainingProgress
from deepsynth_operator.decisions.shared.numbers import format_duration


def summarize_run(run: TrainingRun, status: TrainingRunStatus, reason: str) -> RunSummary:
    """The columns of a TrainingRun. reason: of its state."""
    progress = status.progress or TrainingProgress()
    known = status.progress is not None
    return RunSummary(
        progress=f"{progress.percentage}%" if known else "",
        step=f"{progress.step}/{progress.total_steps}" if progress.total_steps else "",
        loss=progress.loss,
        eta=format_eta(progress.estimated_completion_time, progress.updated_time),
        checkpoint=str(status.checkpoints[0].step) if status.checkpoints else "",
        nodes=str(run.spec.num_nodes),
        dataset=",".join(dataset.name for dataset in run.spec.datasets),
        samples_per_second=progress.samples_per_second,
        model=status.model.uri if status.model else run.spec.model.uri,
        reason=reason,
    )


def summarize_generation(
    generation: DatasetGeneration, status: DatasetGenerationStatus, reason: str
) -> GenerationSummary:
    """The columns of a DatasetGeneration. reason: of its state."""
    progress = status.progress
    source = generation.spec.preset or (generation.spec.source.uri if generation.spec.source else "")
    if progress is None:
        return GenerationSummary(source=source, output=generation.spec.output.uri, reason=reason)
    return GenerationSummary(
        progress=f"{progress.percentage}%",
        pages=str(progress.pages),
        rate=f"{progress.pages_per_second}/s" if progress.pages_per_second else "",
        eta=format_eta(progress.estimated_completion_time, progress.updated_time),
        shards=f"{progress.shards_done}/{progress.shards_total}" if progress.shards_total else "",
        source=source,
        output=generation.spec.output.uri,
        reason=reason,
    )


def format_eta(end: datetime | None, seen: datetime | None) -> str:
    """Time left as of when it was last seen; the same until then, so that nothing is written for it."""
    return format_duration(end - seen) if end is not None and seen is not None else ""
