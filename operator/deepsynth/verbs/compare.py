"""`deepsynth compare`: what differs between runs: their settings, and what came out. The curves go into one chart."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from deepsynth.verbs.names import find_all
from deepsynth.verbs.reporting import fetch_folders
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.report.comparison import Comparison, build_comparison_page
from deepsynth_client.report.metrics import LABELS, format_metric
from deepsynth_client.report.page import write_report
from deepsynth_client.report.results import Curves, read_curves
from deepsynth_client.tables import format_age, format_table

_UNSET: Final = "-"


def compare(resources: Resources, words: Sequence[str]) -> Comparison:
    """Raises InvalidError unless at least two TrainingRuns are named."""
    found = find_all(resources, words)
    if len(found) < 2 or any(item["kind"] != "TrainingRun" for item in found):
        raise InvalidError("must name at least two TrainingRuns: `deepsynth compare trun first second`")
    return build_comparison(found, [_read_curves(resources, item) for item in found])


def build_comparison(found: Sequence[Manifest], curves: Sequence[Curves]) -> Comparison:
    runs = [TrainingRun.model_validate(item) for item in found]
    return Comparison(
        names=[run.metadata.name for run in runs],
        settings=[*find_differences([run.to_dict()["spec"] for run in runs])],
        results=[*_list_results(runs)],
        curves=curves,
    )


def format_comparison(comparison: Comparison) -> str:
    """Settings that differ, then results, a column for each run."""
    header = ["", *comparison.names]
    settings = format_table([["SETTING", *comparison.names], *comparison.settings]) if comparison.settings else ""
    results = format_table([["RESULT", *header[1:]], *comparison.results])
    return "\n\n".join(filter(None, [settings or "the settings are equal", results]))


def write_comparison(comparison: Comparison, place: str, file: Path) -> Path:
    return write_report(build_comparison_page(comparison, place, datetime.now(UTC)), file)


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


def _list_results(runs: Sequence[TrainingRun]) -> Iterator[list[str]]:
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


def _read_curves(resources: Resources, resource: Manifest) -> Curves:
    folder = next(iter(fetch_folders(resources, resource).values()), None)
    return read_curves(folder) if folder else Curves()
