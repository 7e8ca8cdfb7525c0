"""Read what the report shows and status does not hold: sample pages and the curves beside the checkpoints."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

from deepsynth_local.report.charts import Point
from deepsynth_local.runs.runs_folder import RunsFolder

SAMPLE_PAGES: Final = 8
METRICS_FILE: Final = "metrics.jsonl"
_READ_ROWS: Final = 256


@dataclass(frozen=True)
class SamplePage:
    """One page. png: the file's bytes."""

    png: bytes
    text: str
    summary: str
    page: int
    pages: int
    source: str


@dataclass(frozen=True)
class Curves:
    """Points (step, value) of one training run."""

    loss: list[Point] = field(default_factory=list)
    learning_rate: list[Point] = field(default_factory=list)
    grad_norm: list[Point] = field(default_factory=list)
    samples_per_second: list[Point] = field(default_factory=list)
    validation_loss: list[Point] = field(default_factory=list)
    validation_loss_swapped: list[Point] = field(default_factory=list)


def find_folder(uri: str, runs: RunsFolder) -> Path | None:
    """The folder of a file:// or pvc:// URI on this machine; None for the Hub."""
    parsed = urlparse(uri)
    if parsed.scheme == "pvc":
        return runs.volumes / parsed.netloc / unquote(parsed.path).lstrip("/")
    return Path(unquote(parsed.path)) if parsed.scheme == "file" else None


def read_sample_pages(folder: Path, count: int = SAMPLE_PAGES) -> list[SamplePage]:
    """Pages spread over the first rows of the dataset in `folder`, the fullest of each stretch."""
    import pyarrow.parquet as pq  # start-up time: only the report needs it

    files = sorted(folder.glob("data/*.parquet"))
    if not files:
        return []
    with pq.ParquetFile(files[0]) as file:
        rows = next(file.iter_batches(batch_size=_READ_ROWS), None)
    records = rows.to_pylist() if rows is not None else []
    stride = max(1, len(records) // count)
    stretches = [records[start : start + stride] for start in range(0, len(records), stride)][:count]
    return [_build_page(max(stretch, key=lambda record: len(record["text"]))) for stretch in stretches]


def read_curves(checkpoints: Path) -> Curves:
    """The curve of the newest checkpoint: each holds the whole curve up to its step."""
    curves = Curves()
    for record in _read_lines(_find_metrics(checkpoints)):
        step = record.get("step")
        for name in curves.__dataclass_fields__:
            value = record.get(name)
            if isinstance(step, int) and isinstance(value, int | float) and math.isfinite(value):
                getattr(curves, name).append((float(step), float(value)))
    return curves


def _build_page(record: Mapping[str, Any]) -> SamplePage:
    return SamplePage(
        png=record["image"]["bytes"],
        text=record["text"],
        summary=record["summary"],
        page=record["page"],
        pages=record["num_pages"],
        source=record["source_dataset"],
    )


def _find_metrics(checkpoints: Path) -> Path | None:
    files = [file for file in checkpoints.glob(f"step-*/{METRICS_FILE}") if file.parent.name[5:].isdigit()]
    return max(files, key=lambda file: int(file.parent.name[5:]), default=None)


def _read_lines(file: Path | None) -> list[dict[str, Any]]:
    """Lines that are no JSON objects are passed over: a report must not fail on one of them."""
    records: list[dict[str, Any]] = []
    for line in file.read_text(encoding="utf-8").splitlines() if file else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records
