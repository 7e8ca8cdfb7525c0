"""One section of the report per resource: what it did, in figures, pages, curves and tables."""

from collections.abc import Sequence
from html import escape

import yaml

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.v1alpha1 import Attempt, CheckpointStatus, DatasetGeneration, TrainingRun
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows
from deepsynth_local.report.charts import NARROW, Series, build_chart, format_number, smooth
from deepsynth_local.report.data import Curves, SamplePage
from deepsynth_local.report.html_fragments import (
    build_details,
    build_figures,
    build_pages,
    build_state,
    build_table,
    format_bytes,
    format_span,
)

_SWAPPED = (
    "Swapped: the same labels measured with the pages of other documents. The distance between the two validation "
    "lines is what the model learned from looking at its pages."
)


def build_generation_section(generation: DatasetGeneration, pages: Sequence[SamplePage]) -> str:
    status, progress, output = generation.status, generation.status.progress, generation.status.output
    made = output or progress
    figures = {
        "Documents": f"{made.rows:,}" if made else "",
        "Pages": f"{made.pages:,}" if made else "",
        "Size": format_bytes(made.bytes) if made else "",
        "Pages per second": progress.pages_per_second if progress else "",
        "Time": format_span(status.start_time, status.completion_time),
    }
    dropped = _list_dropped(progress.dropped if progress else [])
    splits = [[split.name, f"{split.rows:,}"] for split in status.plan.splits] if status.plan else []
    place = f"<p>{escape(output.uri)} <code>{escape(output.revision[:12])}</code></p>" if output else ""
    return _build_section(
        generation,
        place + build_figures(figures),
        build_pages(pages),
        build_table("Documents by split", ["Split", "Documents"], splits),
        build_table("Rows left out", ["Reason", "Rows"], dropped),
    )


def build_run_section(run: TrainingRun, curves: Curves) -> str:
    status, progress = run.status, run.status.progress
    figures = {
        "Steps": f"{progress.step:,} of {progress.total_steps:,}" if progress else "",
        "Training loss": progress.loss if progress else "",
        **{_name_metric(metric.name): metric.value for metric in status.metrics},
        "Samples per second": progress.samples_per_second if progress else "",
        "Restarts": str(status.restarts),
        "GPU time, seconds": str(status.usage.gpu_seconds or ""),
        "Time": format_span(status.start_time, status.completion_time),
    }
    best = status.best_checkpoint
    places = [
        f"<p>{label}: <code>{escape(uri)}</code></p>"
        for label, uri in (
            ("Best checkpoint", best.uri if best else ""),
            ("Model", status.output.uri if status.output else ""),
        )
        if uri
    ]
    return _build_section(
        run,
        "".join(places) + build_figures(figures),
        _build_charts(curves),
        build_table(
            "Training samples left out", ["Reason", "Samples"], _list_dropped(progress.dropped if progress else [])
        ),
        _build_attempts(status.attempts),
        _build_checkpoints(status.checkpoints, best),
        "".join(f"<p>{escape(note)}</p>" for note in status.notes),
    )


def _build_section(resource: DatasetGeneration | TrainingRun, *parts: str) -> str:
    name, kind = resource.metadata.name, resource.kind
    state = resource.status.state or "Pending"
    written = resource.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    spec = yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=100)
    return (
        f'<section id="{kind.lower()}-{escape(name, quote=True)}" aria-label="{kind} {escape(name, quote=True)}">'
        f'<div class="title"><h2>{escape(name)}</h2>{build_state(state)}<span class="soft">{kind}</span></div>'
        f"{_build_message(resource)}{''.join(parts)}{build_details('Specification', spec)}</section>"
    )


def _build_message(resource: DatasetGeneration | TrainingRun) -> str:
    """What stands on the condition that explains the state."""
    for kind in (ConditionType.FAILED, ConditionType.SUSPENDED, ConditionType.COMPLETE):
        condition = find_condition(resource.status.conditions, kind)
        if condition is not None and condition.status == "True" and condition.message:
            return f'<p class="soft">{escape(condition.message)}</p>'
    return ""


def _list_dropped(dropped: Sequence[DroppedRows]) -> list[list[str]]:
    return [[row.reason, f"{row.rows:,}"] for row in dropped]


def _build_charts(curves: Curves) -> str:
    loss = build_chart(
        "Loss",
        "step",
        "per label token",
        [
            Series("training, each step", "blue", curves.loss, faint=True),
            Series("training", "blue", smooth(curves.loss)),
            Series("validation", "orange", curves.validation_loss),
            Series("validation, pages swapped", "violet", curves.validation_loss_swapped),
        ],
    )
    speed = build_chart(
        "Throughput", "step", "samples per second", [Series("samples/s", "green", curves.samples_per_second)], NARROW
    )
    rate = build_chart("Learning rate", "step", "", [Series("learning rate", "blue", curves.learning_rate)], NARROW)
    norm = build_chart("Gradient norm", "step", "", [Series("before clipping", "violet", curves.grad_norm)], NARROW)
    note = f'<p class="soft">{_SWAPPED}</p>' if curves.validation_loss_swapped else ""
    return f'{loss}{note}<div class="charts">{speed}{norm}{rate}</div>' + _build_evaluations(curves)


def _build_evaluations(curves: Curves) -> str:
    swapped = dict(curves.validation_loss_swapped)
    rows = [
        [f"{step:.0f}", format_number(value), format_number(swapped[step]) if step in swapped else ""]
        for step, value in curves.validation_loss
    ]
    return build_table("Evaluations", ["Step", "Validation loss", "With pages swapped"], rows)


def _build_attempts(attempts: Sequence[Attempt]) -> str:
    rows = [
        [
            str(attempt.number),
            attempt.outcome or "Running",
            attempt.reason,
            format_span(attempt.start_time, attempt.end_time),
            _format_steps(attempt),
            "" if attempt.exit_code is None else str(attempt.exit_code),
            "" if attempt.rank is None else str(attempt.rank),
            attempt.message,
        ]
        for attempt in attempts
    ]
    header = ["Attempt", "Outcome", "Reason", "Time", "Steps", "Exit code", "Rank", "Message"]
    return build_table("Attempts", header, rows, states=1)


def _format_steps(attempt: Attempt) -> str:
    return "" if attempt.last_step is None else f"{attempt.resumed_from_step or 0} to {attempt.last_step}"


def _build_checkpoints(checkpoints: Sequence[CheckpointStatus], best: CheckpointStatus | None) -> str:
    rows = [
        [
            str(checkpoint.step) + (" (best)" if best and best.step == checkpoint.step else ""),
            checkpoint.loss,
            format_bytes(checkpoint.bytes) if checkpoint.bytes else "",
            f"{checkpoint.time:%Y-%m-%d %H:%M:%S} UTC",
            checkpoint.sha256[:12],
            checkpoint.uri,
        ]
        for checkpoint in checkpoints
    ]
    return build_table("Checkpoints", ["Step", "Validation loss", "Size", "Saved", "sha256", "Folder"], rows)


def _name_metric(name: str) -> str:
    return name.replace("_", " ").capitalize()
