"""What differs between runs: the curves of all in one chart, and tables of settings and results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_client.interface import Manifest
from deepsynth_client.report.charts import NARROW, WIDE, Chart, Series, build_chart, smooth
from deepsynth_client.report.metrics import LABELS, format_metric
from deepsynth_client.report.page import render
from deepsynth_client.report.results import Curves
from deepsynth_client.report.sections import Table
from deepsynth_client.tables import format_age

COLORS: Final = ("blue", "orange", "violet", "green")
"""More runs begin again with the first."""
_UNSET: Final = "-"


@dataclass(frozen=True)
class Comparison:
    """names: of the runs. Each row of settings and results has a name and then a cell for each run."""

    names: Sequence[str]
    settings: Sequence[Sequence[str]]
    results: Sequence[Sequence[str]]
    curves: Sequence[Curves]


def build_comparison(found: Sequence[Manifest], curves: Sequence[Curves]) -> Comparison:
    runs = [TrainingRun.model_validate(item) for item in found]
    return Comparison(
        names=[run.metadata.name for run in runs],
        settings=[*find_differences([run.to_dict()["spec"] for run in runs])],
        results=[*_list_results(runs, curves)],
        curves=curves,
    )


def build_comparison_page(comparison: Comparison, place: str, now: datetime) -> str:
    charts, tables = build_charts(comparison), build_tables(comparison)
    return render("comparison.html", names=comparison.names, tables=tables, charts=charts, place=place, now=now)


def build_tables(comparison: Comparison) -> list[Table]:
    return [
        Table("Results", ["", *comparison.names], comparison.results),
        Table("Settings that differ", ["", *comparison.names], comparison.settings),
    ]


def build_charts(comparison: Comparison) -> list[Chart]:
    """Those that have a curve of at least one run."""
    wanted = [
        ("Training loss", "per label token", "loss", WIDE),
        ("Validation loss", "per label token", "validation_loss", NARROW),
        ("CER", "share of the reference", "validation_cer", NARROW),
        ("Throughput", "samples per second", "samples_per_second", NARROW),
    ]
    charts = (
        build_chart(title, unit, _build_lines(comparison, name), width=width) for title, unit, name, width in wanted
    )
    return [chart for chart in charts if chart is not None]


def _build_lines(comparison: Comparison, name: str) -> list[Series]:
    lines = []
    for index, (run, curves) in enumerate(zip(comparison.names, comparison.curves, strict=True)):
        points = getattr(curves, name)
        lines.append(Series(run, COLORS[index % len(COLORS)], smooth(points) if name == "loss" else points))
    return lines


def find_differences(specs: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """A row for each field that is not the same in all: its path, and its value in each spec.

    [{"optimizer": {"learningRate": "1e-4"}}, {"optimizer": {"learningRate": "1e-5"}}]
        -> ["optimizer.learningRate", "1e-4", "1e-5"]
    """
    flat = [dict(_flatten(spec)) for spec in specs]
    for path in sorted({path for fields in flat for path in fields}):
        values = [str(fields.get(path, _UNSET)) for fields in flat]
        if len(set(values)) > 1:
            yield [path, *values]


def _flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Fields with their paths. Items of a list are named by their `name`, if they have one."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _flatten(child, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _flatten(item, f"{path}[{item.get('name', index)}]")
    else:
        yield path, value


def _list_results(runs: Sequence[TrainingRun], curves: Sequence[Curves]) -> Iterator[list[str]]:
    rows: dict[str, list[str]] = {
        "state": [run.status.state or "Pending" for run in runs],
        "steps": [
            f"{run.status.progress.step}/{run.status.progress.total_steps}" if run.status.progress else ""
            for run in runs
        ],
        "training loss": [run.status.progress.loss if run.status.progress else "" for run in runs],
        **{label: [_find_metric(run, name) for run in runs] for name, label in LABELS.items()},
        "best step": [str(best.step) if (best := run.status.best_checkpoint) else "" for run in runs],
        "samples/s": [run.status.progress.samples_per_second if run.status.progress else "" for run in runs],
        "restarts": [str(run.status.restarts) for run in runs],
        "GPU seconds": [str(run.status.usage.gpu_seconds or "") for run in runs],
        "time": [_format_time(run) for run in runs],
        "values not in the curves": [str(sum(item.skipped.values()) or "") for item in curves],
        "damaged lines of metrics": [str(item.damaged or "") for item in curves],
    }
    for name, cells in rows.items():
        if any(cells):
            yield [name, *(cell or _UNSET for cell in cells)]


def _find_metric(run: TrainingRun, name: str) -> str:
    found = next((metric for metric in run.status.metrics if metric.name == name), None)
    try:
        return format_metric(name, float(found.value)) if found else ""
    except ValueError:  # the report of a pod is untrusted input
        return ""


def _format_time(run: TrainingRun) -> str:
    start, end = run.status.start_time, run.status.completion_time
    return format_age((end - start).total_seconds()) if start and end else ""
