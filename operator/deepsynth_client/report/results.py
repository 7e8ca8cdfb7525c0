"""Read what the report shows and a resource's status does not hold: sample pages, curves and written samples."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deepsynth_client.report.charts import Point

MAX_SAMPLE_PAGES: Final = 8
METRICS_FILE: Final = "metrics.jsonl"
EVALUATION_FILE: Final = "evaluation.json"
_READ_ROWS: Final = 256


@dataclass(frozen=True)
class SamplePage:
    """One page of a dataset. png: the file's bytes. page: counted from 0, of `pages` in its document."""

    png: bytes
    text: str
    summary: str
    page: int
    pages: int

    @property
    def base64(self) -> str:
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class WrittenSample:
    """What the model wrote after `step` for a validation sample. pages: PNG files. cer: character error rate."""

    name: str
    step: int
    reference: str
    written: str
    cer: float
    pages: Sequence[bytes]

    @property
    def base64(self) -> list[str]:
        return [base64.b64encode(page).decode() for page in self.pages]


@dataclass(frozen=True)
class Curves:
    """Points (step, value) of one training run; the fields have the names of the lines in metrics.jsonl."""

    loss: list[Point] = field(default_factory=list)
    learning_rate: list[Point] = field(default_factory=list)
    grad_norm: list[Point] = field(default_factory=list)
    samples_per_second: list[Point] = field(default_factory=list)
    validation_loss: list[Point] = field(default_factory=list)
    validation_loss_swapped: list[Point] = field(default_factory=list)
    validation_loss_black: list[Point] = field(default_factory=list)
    validation_cer: list[Point] = field(default_factory=list)
    validation_cer_swapped: list[Point] = field(default_factory=list)
    validation_wer: list[Point] = field(default_factory=list)
    validation_rouge1: list[Point] = field(default_factory=list)
    validation_rougeL: list[Point] = field(default_factory=list)  # noqa: N815 - the metric's name
    validation_exact_match: list[Point] = field(default_factory=list)


def read_sample_pages(dataset: Path, count: int = MAX_SAMPLE_PAGES) -> list[SamplePage]:
    """Pages spread over the first rows of a dataset's folder: of each stretch of rows the page with most text.

    Empty for a damaged file: a user may have changed the folder since, and that must not fail the report.
    """
    files = sorted(dataset.glob("data/*.parquet"))
    try:
        return _choose_pages(_read_rows(files[0]), count) if files else []
    except (OSError, ValueError, KeyError, TypeError):  # pyarrow's errors are ValueErrors, those of columns the others
        return []


def _read_rows(file: Path) -> list[dict[str, Any]]:
    """The first rows of a parquet file."""
    import pyarrow.parquet as pq  # slow to import, and only the report needs it

    with pq.ParquetFile(file) as opened:
        rows = next(opened.iter_batches(batch_size=_READ_ROWS), None)
    records: list[dict[str, Any]] = rows.to_pylist() if rows is not None else []
    return records


def _choose_pages(records: Sequence[Mapping[str, Any]], count: int) -> list[SamplePage]:
    stride = max(1, len(records) // count)
    stretches = [records[start : start + stride] for start in range(0, len(records), stride)][:count]
    return [_build_page(max(stretch, key=lambda record: len(record["text"]))) for stretch in stretches]


def read_curves(checkpoints: Path) -> Curves:
    """The curves of the newest checkpoint: each checkpoint holds the whole curve up to its step."""
    curves = Curves()
    for record in _read_records(_find_metrics(checkpoints)):
        step = record.get("step")
        for name in curves.__dataclass_fields__:
            value = record.get(name)
            if isinstance(step, int) and isinstance(value, int | float) and abs(value) < math.inf:
                getattr(curves, name).append((float(step), float(value)))
    return curves


def read_written_samples(checkpoints: Path, step: int | None = None) -> list[WrittenSample]:
    """The samples of the evaluation after `step`, else of the last one, with their pages; empty if their file cannot
    be read.
    """
    files = {int(file.stem[5:]): file for file in checkpoints.glob("samples/step-*.json") if file.stem[5:].isdigit()}
    if not files:
        return []
    file = files[step if step in files else max(files)]
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return [_build_sample(entry, int(document["step"]), file.parent) for entry in document["samples"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _build_sample(entry: Mapping[str, Any], step: int, folder: Path) -> WrittenSample:
    """Pages are read from the folder of pages only, because a file of a run is untrusted."""
    pages = [(folder / "pages" / Path(str(name)).name).read_bytes() for name in entry["pages"]]
    return WrittenSample(
        str(entry["name"]), step, str(entry["reference"]), str(entry["written"]), float(entry["cer"]), pages
    )


def _build_page(record: Mapping[str, Any]) -> SamplePage:
    return SamplePage(
        png=record["image"]["bytes"],
        text=record["text"],
        summary=record["summary"],
        page=record["page"],
        pages=record["num_pages"],
    )


def _find_metrics(checkpoints: Path) -> Path | None:
    files = [file for file in checkpoints.glob(f"step-*/{METRICS_FILE}") if file.parent.name[5:].isdigit()]
    return max(files, key=lambda file: int(file.parent.name[5:]), default=None)


def _read_records(file: Path | None) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line, and the evaluation of the checkpoint itself, which was saved before it.

    Other lines are skipped: a broken one must not fail the report.
    """
    if file is None:
        return []
    found = [_parse(line) for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    evaluation = file.with_name(EVALUATION_FILE)
    if evaluation.is_file():
        line = (_parse(evaluation.read_text(encoding="utf-8", errors="replace")) or {}).get("line")
        if line not in found:  # a checkpoint that was saved after its evaluation has the line in both files
            found.append(line)
    return [record for record in found if isinstance(record, dict)]


def _parse(text: str) -> dict[str, Any] | None:
    """None for anything but a JSON object."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
