"""What the report says about one resource, as plain values. How it looks is decided by templates/section.html."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import yaml

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.v1alpha1 import Attempt, CheckpointStatus, DatasetGeneration, TrainingRun
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, DroppedRows, OutputStatus, PageDensity
from deepsynth_api.v1alpha1.shared.usage import ContainerUsage
from deepsynth_api.v1alpha1.training_run_status import MetricValue
from deepsynth_client.report.charts import NARROW, Chart, Series, build_chart, smooth
from deepsynth_client.report.lives import build_attempt_line, build_job_line
from deepsynth_client.report.metrics import LABELS, describe_rank, format_metric
from deepsynth_client.report.results import Curves, SamplePage, WrittenSample
from deepsynth_client.report.timeline import Timeline
from deepsynth_client.tables import format_age

_SWAPPED_NOTE: Final = (
    "Swapped: the same labels measured with the pages of other documents. The distance between the two validation "
    "lines is what the model learned from looking at its pages. Black, after the last step: measured with black pages, "
    "so what the model guesses without seeing anything."
)


@dataclass(frozen=True)
class Table:
    """A table without rows is not shown. state_column: index of a column of states, which get their colour."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    state_column: int | None = None


@dataclass(frozen=True)
class Section:
    """Everything the page shows about one resource. Empty texts and lists are skipped."""

    kind: str
    name: str
    state: str
    message: str
    spec: str
    """As YAML, without the defaults."""
    places: Mapping[str, str]
    """Where the results are: label -> URI."""
    figures: Mapping[str, str]
    """The numbers that matter: label -> number."""
    pages: Sequence[SamplePage] = ()
    written: Sequence[WrittenSample] = ()
    main_chart: Chart | None = None
    side_charts: Sequence[Chart] = ()
    timeline: Timeline | None = None
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()

    @property
    def anchor(self) -> str:
        return f"{self.kind.lower()}-{self.name}"


def build_generation_section(
    generation: DatasetGeneration, pages: Sequence[SamplePage], notes: Sequence[str] = ()
) -> Section:
    """notes: about the files of the dataset."""
    status, progress, output = generation.status, generation.status.progress, generation.status.output
    counts = output or progress
    plan, ahead = status.plan, status.ahead.job if status.ahead else None
    jobs = sorted([*status.jobs, *([ahead] if ahead else [])], key=lambda job: job.start_time)
    splits = plan.splits if plan else []
    undrawable = plan.undrawable.characters if plan and plan.undrawable else []
    return Section(
        kind=generation.kind,
        name=generation.metadata.name,
        state=status.state or "Pending",
        message=_find_message(generation),
        spec=_format_spec(generation),
        places=_list_places(output) if output else {},
        figures={
            "Documents": f"{counts.rows:,}" if counts else "",
            "Pages": f"{counts.pages:,}" if counts else "",
            "Size": format_bytes(counts.bytes) if counts else "",
            **_describe_density(output.density if output else None),
            "Shards": f"{progress.shards_done:,} of {progress.shards_total:,}" if progress else "",
            "Shards that failed": progress.failed_indexes if progress else "",
            "Pages per second": progress.pages_per_second if progress else "",
            "Cost": _describe_cost(status.usage),
            "Time": _format_span(status.start_time, status.completion_time),
        },
        pages=pages,
        notes=notes,
        timeline=build_job_line(jobs, progress.updated_time if progress else None),
        tables=[
            Table("Documents by split", ["Split", "Documents"], [[split.name, f"{split.rows:,}"] for split in splits]),
            _build_jobs(jobs),
            Table("Dropped rows", ["Reason", "Rows"], _list_dropped(progress.dropped if progress else [])),
            Table(
                "Columns that were read",
                ["Configuration", "Text", "Summary", "Rows"],
                [
                    [read.config or "", read.text, read.summary, f"{read.rows:,}"]
                    for read in (plan.columns if plan else [])
                ],
            ),
            Table(
                "Files of the source that were not read",
                ["Reason", "Files", "Such as"],
                [
                    [entry.reason, f"{entry.files:,}", ", ".join(entry.examples)]
                    for entry in (plan.skipped_files if plan else [])
                ],
            ),
            Table(
                "Characters that no font draws",
                ["Character", "Documents"],
                [[entry.character, f"{entry.documents:,}"] for entry in undrawable],
            ),
        ],
    )


def build_run_section(run: TrainingRun, curves: Curves, written: Sequence[WrittenSample] = ()) -> Section:
    status, progress, best = run.status, run.status.progress, run.status.best_checkpoint
    return Section(
        kind=run.kind,
        name=run.metadata.name,
        state=status.state or "Pending",
        message=_find_message(run),
        spec=_format_spec(run),
        places={
            _name_best(best): best.uri if best else "",
            "Model": status.output.uri if status.output else "",
        },
        figures={
            "Steps": f"{progress.step:,} of {progress.total_steps:,}" if progress else "",
            "Training loss": progress.loss if progress else "",
            **{_name_metric(metric.name): _format_value(metric) for metric in status.metrics},
            "Samples per second": progress.samples_per_second if progress else "",
            "Restarts": str(status.restarts),
            "GPU time, seconds": str(status.usage.gpu_seconds or ""),
            "Cost": _describe_cost(status.usage),
            "Time": _format_span(status.start_time, status.completion_time),
        },
        written=written,
        main_chart=_build_loss_chart(curves),
        side_charts=_build_side_charts(curves),
        timeline=build_attempt_line(status, progress.updated_time if progress else None),
        tables=[
            _build_evaluations(curves, best),
            Table("Dropped samples", ["Reason", "Samples"], _list_dropped(progress.dropped if progress else [])),
            _build_attempts(status.attempts),
            _build_checkpoints(status.checkpoints, best),
        ],
        notes=[*status.notes, *curves.describe_skipped()],
    )


def _describe_density(density: PageDensity | None) -> dict[str, str]:
    if density is None:
        return {}
    return {
        "Words per page": f"{density.words_per_page:,}",
        "Characters per page": f"{density.characters_per_page:,}",
        "Text tokens per image token, estimated": density.text_tokens_per_image_token,
    }


def format_bytes(count: int) -> str:
    """Decimal units, as disks are sold: 4.2 MB."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def _find_message(resource: DatasetGeneration | TrainingRun) -> str:
    """Message of the condition that explains the state."""
    for kind in (ConditionType.FAILED, ConditionType.SUSPENDED, ConditionType.COMPLETE):
        condition = find_condition(resource.status.conditions, kind)
        if condition is not None and condition.status == "True" and condition.message:
            return condition.message
    return ""


def _format_spec(resource: DatasetGeneration | TrainingRun) -> str:
    written = resource.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=100)


def _build_loss_chart(curves: Curves) -> Chart | None:
    lines = [
        Series("training, each step", "blue", curves.loss, faint=True),
        Series("training", "blue", smooth(curves.loss)),
        Series("validation", "orange", curves.validation_loss),
        Series("validation, pages swapped", "violet", curves.validation_loss_swapped),
    ]
    return build_chart("Loss", "per label token", lines, note=_SWAPPED_NOTE if curves.validation_loss_swapped else "")


def _build_side_charts(curves: Curves) -> list[Chart]:
    charts = [
        ("Error rates", "share of the reference", _list_error_rates(curves)),
        ("Agreement", "from 0 to 1", _list_agreements(curves)),
        ("Throughput", "samples per second", [Series("samples/s", "green", curves.samples_per_second)]),
        ("Gradient norm", "", [Series("before clipping", "violet", curves.grad_norm)]),
        ("Learning rate", "", [Series("learning rate", "blue", curves.learning_rate)]),
    ]
    drawn = (build_chart(title, unit, series, width=NARROW) for title, unit, series in charts)
    return [chart for chart in drawn if chart is not None]


def _list_error_rates(curves: Curves) -> list[Series]:
    return [
        Series("CER", "orange", curves.validation_cer),
        Series("CER, pages swapped", "violet", curves.validation_cer_swapped),
        Series("WER", "blue", curves.validation_wer),
    ]


def _list_agreements(curves: Curves) -> list[Series]:
    return [
        Series("ROUGE-L", "blue", curves.validation_rougeL),
        Series("exact match", "green", curves.validation_exact_match),
    ]


def _build_evaluations(curves: Curves, best: CheckpointStatus | None) -> Table:
    """A column for each metric that was measured."""
    measured = {name: dict(points) for name in LABELS if (points := getattr(curves, name))}
    rows = [
        [
            _mark_best(int(step), best),
            *(format_metric(name, values[step]) if step in values else "" for name, values in measured.items()),
        ]
        for step in sorted({step for values in measured.values() for step in values})
    ]
    return Table("Evaluations", ["Step", *(LABELS[name] for name in measured)], rows)


def _mark_best(step: int, best: CheckpointStatus | None) -> str:
    return f"{step} (best)" if best and best.step == step else str(step)


def _build_attempts(attempts: Sequence[Attempt]) -> Table:
    header = ["Attempt", "Outcome", "Reason", "Time", "Steps", "Exit code", "Rank", "Message"]
    rows = [
        [
            str(attempt.number),
            attempt.outcome or "Running",
            attempt.reason,
            _format_span(attempt.start_time, attempt.end_time),
            "" if attempt.last_step is None else f"{attempt.resumed_from_step or 0} to {attempt.last_step}",
            "" if attempt.exit_code is None else str(attempt.exit_code),
            "" if attempt.rank is None else str(attempt.rank),
            attempt.message,
        ]
        for attempt in attempts
    ]
    return Table("Attempts", header, rows, state_column=1)


def _build_jobs(jobs: Sequence[ChildJob]) -> Table:
    header = ["Job", "Outcome", "Reason", "Time", "Shards done", "Message"]
    rows = [
        [
            job.name,
            job.outcome or "Running",
            job.reason,
            _format_span(job.start_time, job.end_time),
            f"{job.shards_done:,}" if job.step == "render" else "",
            job.message or job.obstacle,
        ]
        for job in jobs
    ]
    return Table("Jobs", header, rows, state_column=1)


def _build_checkpoints(checkpoints: Sequence[CheckpointStatus], best: CheckpointStatus | None) -> Table:
    header = ["Step", "Validation loss", "Ranked by", "Size", "Saved", "sha256", "Folder"]
    rows = [
        [
            _mark_best(checkpoint.step, best),
            checkpoint.loss,
            describe_rank(checkpoint.metric, checkpoint.value, checkpoint.loss),
            format_bytes(checkpoint.bytes) if checkpoint.bytes else "",
            f"{checkpoint.time:%Y-%m-%d %H:%M:%S} UTC",
            checkpoint.sha256[:12],
            checkpoint.uri,
        ]
        for checkpoint in checkpoints
    ]
    return Table("Checkpoints", header, rows)


def _describe_cost(usage: ContainerUsage) -> str:
    """12.58 USD, 0.50 lost; empty without prices."""
    cost = usage.cost
    if cost is None:
        return ""
    return f"{cost.amount} {cost.currency}" + (f", {cost.lost} lost" if cost.lost.strip("0.") else "")


def _list_places(output: OutputStatus) -> dict[str, str]:
    dropped = {"List of dropped rows": f"{output.uri}/{output.dropped_path}"} if output.dropped_path else {}
    return {"Dataset": output.uri, "Revision": output.revision[:12], **dropped}


def _list_dropped(dropped: Sequence[DroppedRows]) -> list[list[str]]:
    return [[row.reason, f"{row.rows:,}"] for row in dropped]


def _format_span(start: datetime | None, end: datetime | None) -> str:
    return format_age((end - start).total_seconds()) if start and end else ""


def _name_metric(name: str) -> str:
    """validation_cer -> Validation CER."""
    return f"Validation {LABELS[name]}" if name in LABELS else name.replace("_", " ").capitalize()


def _format_value(metric: MetricValue) -> str:
    try:
        return format_metric(metric.name, float(metric.value))
    except ValueError:  # the report of a pod is untrusted input
        return metric.value


def _name_best(best: CheckpointStatus | None) -> str:
    rank = describe_rank(best.metric, best.value, best.loss) if best else ""
    return f"Best checkpoint ({rank})" if rank else "Best checkpoint"
