"""status.progress, checkpoints, metrics and notes: what the reports of the last attempt's pods say.

Reports come late, twice, or out of order: within an attempt, a report of an earlier step than one already taken is
ignored. From one attempt to the next the step may go back to that of the checkpoint it resumed from.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from deepsynth_api.report import Report, TrainReport
from deepsynth_api.v1alpha1 import Attempt, TrainingRunStatus
from deepsynth_api.v1alpha1.shared.usage import Usage
from deepsynth_api.v1alpha1.training_run_status import MetricValue, RunSummary, SampleText, TrainingProgress
from deepsynth_operator.core.observed import ObservedPod
from deepsynth_operator.decisions.shared.decision import MAX_ENTRY_MESSAGE
from deepsynth_operator.decisions.shared.numbers import compute_percentage, estimate_end, format_number
from deepsynth_operator.decisions.training_run.attempts import replace_last

Measured = TypeVar("Measured", MetricValue, SampleText)

STARTING_PHASES: Final = frozenset({"download", "start"})
MAX_KEPT_CHECKPOINTS: Final = 20
MAX_KEPT_METRICS: Final = 40
MAX_METRIC_CHARACTERS: Final = 128
"""Of a metric's name and of its value: what is kept over many reports must not grow without a limit."""
MAX_KEPT_NOTES: Final = 10
MAX_SAMPLES: Final = 3
MAX_SAMPLE_CHARACTERS: Final = 200
MAX_NOTE_CHARACTERS: Final = 512
_MEASURES: Final = dict.fromkeys(
    (
        "step",
        "epoch",
        "loss",
        "grad_norm",
        "learning_rate",
        "samples_per_second",
        "pages_per_second",
        "label_tokens_per_second",
        "image_tokens_per_page",
        "data_wait_share",
        "peak_memory_bytes",
        "remaining_seconds",
        "step_seconds",
        "evaluation_seconds",
        "download_bytes",
        "metrics",
        "samples",
    )
)
"""Fields of a report that change from poll to poll."""


def take_reports(status: TrainingRunStatus, pods: Iterable[ObservedPod], now: datetime) -> TrainingRunStatus:
    """`status` with what the pods of its last attempt report."""
    reports = [pod.report for pod in pods if pod.report is not None and pod.report.train is not None]
    if not reports or not status.attempts:
        return status
    report = max(reports, key=lambda report: (report.train.step if report.train else 0, report.time))
    train, last = report.train, status.attempts[-1]
    if train is None or train.step < (last.last_step or 0):
        return status
    status = replace_last(status, _observe_steps(last, train))
    status = _take_checkpoints(status, report, train)
    return status.updated(
        progress=_compute_progress(status, train, now),
        metrics=_select_published(_merge_metrics(status.metrics, train.metrics), train),
        samples=_select_published(
            [_clip_sample(sample) for sample in train.samples[:MAX_SAMPLES]] or status.samples, train
        ),
        notes=_merge_notes(status.notes, train.notes),
        output=train.output or status.output,
    )


def complete_progress(status: TrainingRunStatus) -> TrainingRunStatus:
    """The progress of a run that is Complete."""
    if status.progress is None:
        return status
    return status.updated(
        progress=status.progress.updated(percentage=100, phase="done", estimated_completion_time=None)
    )


def drop_progress(status: TrainingRunStatus) -> TrainingRunStatus:
    """`status` without what changes from step to step."""
    return status.updated(
        progress=None,
        metrics=[],
        samples=[],
        usage=Usage(),
        summary=RunSummary(),
        attempts=[_drop_usage(attempt) for attempt in status.attempts],
        conditions=[condition.updated(message="") for condition in status.conditions],
    )


def _drop_usage(attempt: Attempt) -> Attempt:
    return attempt.updated(
        last_step=None, step_seconds=None, evaluation_seconds=None, gpu_seconds=0, cpu_seconds=0, cost=None
    )


def is_mere_progress(old: Report, new: Report) -> bool:
    """Whether `new` differs from `old` only in what is written every few polls: see `drop_progress`."""
    return old.train is not None and new.train is not None and _drop_measures(old) == _drop_measures(new)


def is_starting(report: Report) -> bool:
    """Whether a pod of a run reports that it has not begun to work."""
    return report.train is not None and report.train.phase in STARTING_PHASES


def _drop_measures(report: Report) -> Report:
    return report.updated(time=None, train=report.train and report.train.updated(**_MEASURES))


def take_previous_failure(status: TrainingRunStatus, pods: Iterable[ObservedPod]) -> TrainingRunStatus:
    """Details of the previous attempt that its launcher left next to the checkpoints, if they are not known yet.

    Of a disruption with its node everything is known: the ranks that a drained node takes with it end elsewhere.
    """
    failure = next((pod.report.previous for pod in pods if pod.report and pod.report.previous), None)
    if failure is None or len(status.attempts) < 2 or status.attempts[-2].exit_code is not None:
        return status
    if status.attempts[-2].outcome == "Disrupted" and status.attempts[-2].node:
        return status
    explained = status.attempts[-2].updated(
        exit_code=failure.exit_code, rank=failure.rank, node=failure.node, message=failure.message[:MAX_ENTRY_MESSAGE]
    )
    return status.updated(attempts=[*status.attempts[:-2], explained, status.attempts[-1]])


def _observe_steps(attempt: Attempt, train: TrainReport) -> Attempt:
    resumed = attempt.resumed_from_step if train.resumed_from_step is None else train.resumed_from_step
    return attempt.updated(
        last_step=train.step,
        resumed_from_step=resumed,
        step_seconds=_round(train.step_seconds, attempt.step_seconds),
        evaluation_seconds=_round(train.evaluation_seconds, attempt.evaluation_seconds),
    )


def _round(seconds: float | None, before: int | None) -> int | None:
    return before if seconds is None else max(round(seconds), 0)


def _take_checkpoints(status: TrainingRunStatus, report: Report, train: TrainReport) -> TrainingRunStatus:
    """Only a checkpoint beyond all earlier ones is progress. Else a run that keeps losing the same one never ends."""
    newest = max([train.saved_step or 0, *(checkpoint.step for checkpoint in train.checkpoints)])
    last = status.attempts[-1]
    if newest > status.saved_step:
        times = [checkpoint.time for checkpoint in train.checkpoints if checkpoint.step == newest]
        if newest > (last.resumed_from_step or 0):
            last = last.updated(saved_step=newest, saved_time=times[0] if times else report.time)
        status = replace_last(status, last).updated(saved_step=newest, attempts_without_progress=0)
    return status.updated(
        checkpoints=train.checkpoints[:MAX_KEPT_CHECKPOINTS] or status.checkpoints,
        best_checkpoint=train.best_checkpoint or status.best_checkpoint,
    )


def _compute_progress(status: TrainingRunStatus, train: TrainReport, now: datetime) -> TrainingProgress:
    """The old progress itself if nothing that is shown has changed: its times are those of the change.

    Until an attempt has loaded the checkpoint that it continues from, it reports step 0: the run is further than that.
    """
    old = status.progress
    starts = old is not None and train.phase in STARTING_PHASES and train.step < status.saved_step
    step = status.saved_step if starts else train.step
    total = (old.total_steps if old is not None and starts else 0) or train.total_steps
    new = TrainingProgress(
        step=step,
        total_steps=total,
        epoch=old.epoch if old is not None and starts else f"{train.epoch:.2f}",
        percentage=compute_percentage(step, total),
        samples_per_second=format_number(train.samples_per_second),
        loss=format_number(train.loss),
        learning_rate=format_number(train.learning_rate),
        phase=train.phase,
        dropped=train.dropped or (old.dropped if old is not None else []),
    )
    if old is not None and new == old.updated(estimated_completion_time=None, updated_time=None):
        return old
    remaining = train.remaining_seconds
    end = estimate_end(remaining, now) if remaining is not None else None
    return new.updated(estimated_completion_time=end, updated_time=now)


def _merge_metrics(old: Sequence[MetricValue], new: Sequence[MetricValue]) -> list[MetricValue]:
    clipped = [
        metric.updated(name=metric.name[:MAX_METRIC_CHARACTERS], value=metric.value[:MAX_METRIC_CHARACTERS])
        for metric in new
    ]
    newest = {metric.name: metric for metric in clipped}
    return [*newest.values(), *(metric for metric in old if metric.name not in newest)][:MAX_KEPT_METRICS]


def _select_published(items: list[Measured], train: TrainReport) -> list[Measured]:
    """At the end, those of the published model's step, if there are any: the last step may be another one."""
    step = train.output.step if train.output else None
    return [item for item in items if item.step == step] or items


def _clip_sample(sample: SampleText) -> SampleText:
    return sample.updated(
        name=sample.name[:MAX_SAMPLE_CHARACTERS],
        reference=sample.reference[:MAX_SAMPLE_CHARACTERS],
        written=sample.written[:MAX_SAMPLE_CHARACTERS],
    )


def _merge_notes(old: Sequence[str], new: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*old, *(note[:MAX_NOTE_CHARACTERS] for note in new[-MAX_KEPT_NOTES:])]))[
        -MAX_KEPT_NOTES:
    ]
