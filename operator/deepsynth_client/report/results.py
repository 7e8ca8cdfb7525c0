"""Read what the report shows and a resource's status does not hold: sample pages, curves and written samples.

The files are those of a run, which are untrusted: a link that leads out of the folder is not followed, a file that is
too large or damaged is skipped.
"""

import base64
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeGuard

from deepsynth_client.interface import Manifest
from deepsynth_client.report.charts import Point

MAX_SAMPLE_PAGES: Final = 8
METRICS_FILE: Final = "metrics.jsonl"
EVALUATION_FILE: Final = "evaluation.json"
SAMPLES: Final = "samples/step-*.json"
SHARDS: Final = "data/*.parquet"
NEEDED: Final = (
    "reports/*.json",
    f"step-*/{METRICS_FILE}",
    f"step-*/{EVALUATION_FILE}",
    SAMPLES,
    "samples/pages/*.png",
)
"""What a report reads of a checkpoint folder, the most important first: in a cluster not all may fit."""
MAX_BYTES: Final = 256 * 1024**2
"""Of a file that is read whole: a curve of two million steps."""
MAX_SAMPLES: Final = 64
MAX_PAGES: Final = 16
"""Of one written sample."""
MAX_SAMPLE_BYTES: Final = 64 * 1024**2
"""Of the texts and images of all written samples together, which pages keep in memory."""
_MAX_STEP: Final = 2**53
_MAX_VALUE: Final = 1e300
_READ_ROWS: Final = 256
_DAMAGE: Final = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What files raise that are not as this version writes them; pyarrow's errors are among them."""


@dataclass(frozen=True)
class SamplePage:
    """One page of a dataset. png: the file's bytes. page: counted from 0, of `pages` in its document."""

    png: bytes
    text: str
    summary: str
    page: int
    pages: int

    @property
    def source(self) -> str:
        return _embed(self.png)


@dataclass(frozen=True)
class WrittenSample:
    """What the model wrote after `step` for a validation sample. pages: PNG files. cer: character error rate.

    note: what is not shown, because it exceeds a limit.
    """

    name: str
    step: int
    reference: str
    written: str
    cer: float
    pages: Sequence[bytes]
    note: str = ""

    @property
    def sources(self) -> list[str]:
        return [_embed(page) for page in self.pages]


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


def find_results(resource: Manifest) -> str:
    """The URI of the folder with what a report shows of the resource."""
    field = "checkpoint" if resource["kind"] == "TrainingRun" else "output"
    return str((resource["spec"].get(field) or {}).get("uri", ""))


def has_files(resource: Manifest) -> bool:
    """Whether a pod of it has run; before that, it has no files."""
    status = resource.get("status", {})
    return bool(status.get("attempts") or status.get("jobs"))


def stamp_results(folder: Path) -> Hashable:
    """Differs when what this module reads of a folder was written since."""
    metrics = _find_metrics(folder)
    curve = [metrics, metrics.with_name(EVALUATION_FILE)] if metrics else []
    files = [*curve, *_list_files(folder, SAMPLES), *_list_shards(folder)[:1]]
    return tuple((file, file.stat().st_mtime_ns) for file in files if file.is_file())


def read_sample_pages(dataset: Path, count: int = MAX_SAMPLE_PAGES) -> list[SamplePage]:
    """Pages spread over the first rows of a dataset's folder: of each stretch of rows the page with most text.

    Empty for a damaged file: a user may have changed the folder since, and that must not fail the report.
    """
    files = _list_shards(dataset)
    try:
        return _choose_pages(_read_rows(files[0]), count) if files else []
    except _DAMAGE:
        return []


def _read_rows(file: Path) -> list[dict[str, Any]]:
    """The first rows of a parquet file. Raises ValueError where they may not fit into memory."""
    import pyarrow.parquet as pq  # slow to import, and only the report needs it

    with pq.ParquetFile(file) as opened:
        groups = _choose_row_groups(opened.metadata)
        rows = next(opened.iter_batches(batch_size=_READ_ROWS, row_groups=groups), None)
    records: list[dict[str, Any]] = rows.to_pylist() if rows is not None else []
    return records


def _choose_row_groups(metadata: Any) -> list[int]:
    """The first row groups of a parquet file, until they have the rows that are read or more does not fit."""
    chosen: list[int] = []
    rows = size = 0
    while rows < _READ_ROWS and len(chosen) < metadata.num_row_groups:
        group = metadata.row_group(len(chosen))
        rows, size = rows + group.num_rows, size + group.total_byte_size
        if size > MAX_BYTES:
            break
        chosen.append(len(chosen))
    if size > MAX_BYTES and not chosen:
        raise ValueError(f"the first row group has {size} bytes, more than {MAX_BYTES}")
    return chosen


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
            if isinstance(step, int) and abs(step) < _MAX_STEP and _is_measured(value):
                getattr(curves, name).append((float(step), float(value)))
    return curves


def _is_measured(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and abs(value) < _MAX_VALUE


def read_written_samples(checkpoints: Path, step: int | None = None) -> list[WrittenSample]:
    """The samples of the evaluation after `step`, else of the last one, with their pages; empty if their file cannot
    be read.
    """
    files = {int(file.stem[5:]): file for file in _list_files(checkpoints, SAMPLES) if file.stem[5:].isdecimal()}
    if not files:
        return []
    file = files[step if step in files else max(files)]
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return _build_samples(document["samples"], int(document["step"]), checkpoints)
    except _DAMAGE:
        return []


def _build_samples(entries: Sequence[Mapping[str, Any]], step: int, checkpoints: Path) -> list[WrittenSample]:
    """The first ones that fit. Pages are read from the folder of pages only."""
    if abs(step) >= _MAX_STEP:
        raise ValueError("step is too large")
    known = {file.name: file for file in _list_files(checkpoints, "samples/pages/*.png")}
    samples: list[WrittenSample] = []
    left = MAX_SAMPLE_BYTES
    for entry in entries[:MAX_SAMPLES]:
        sample = _build_sample(entry, step, known, left)
        left -= len(sample.reference) + len(sample.written) + sum(map(len, sample.pages))
        if left < 0:
            break
        samples.append(sample)
    if samples and len(samples) < len(entries):
        note = f"{len(entries) - len(samples)} more samples are not shown"
        samples[-1] = replace(samples[-1], note="; ".join(filter(None, (samples[-1].note, note))))
    return samples


def _build_sample(entry: Mapping[str, Any], step: int, known: Mapping[str, Path], left: int) -> WrittenSample:
    """With the first pages that have at most `left` bytes together."""
    pages: list[bytes] = []
    for name in entry["pages"][:MAX_PAGES]:
        file = known[Path(str(name)).name]
        left -= file.stat().st_size
        if left < 0:
            break
        pages.append(file.read_bytes())
    cer = entry["cer"]
    if not _is_measured(cer):
        raise ValueError("cer must be a finite number")
    missing = len(entry["pages"]) - len(pages)
    note = f"{missing} more pages are not shown" if missing else ""
    return WrittenSample(
        str(entry["name"]), step, str(entry["reference"]), str(entry["written"]), float(cer), pages, note
    )


def _build_page(record: Mapping[str, Any]) -> SamplePage:
    png, text, summary = record["image"]["bytes"], record["text"], record["summary"]
    if not (isinstance(png, bytes) and isinstance(text, str) and isinstance(summary, str)):
        raise TypeError("image.bytes must be binary; text and summary must be strings")
    return SamplePage(
        png=png,
        text=text,
        summary=summary,
        page=record["page"],
        pages=record["num_pages"],
    )


def _find_metrics(checkpoints: Path) -> Path | None:
    files = [file for file in _list_files(checkpoints, f"step-*/{METRICS_FILE}") if file.parent.name[5:].isdecimal()]
    return max(files, key=lambda file: int(file.parent.name[5:]), default=None)


def _read_records(file: Path | None) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line, and the evaluation of the checkpoint itself, which was saved before it.

    Other lines are skipped: a broken one must not fail the report.
    """
    if file is None:
        return []
    found = [_parse(line) for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    for evaluation in _list_files(file.parent, EVALUATION_FILE):
        line = (_parse(evaluation.read_text(encoding="utf-8", errors="replace")) or {}).get("line")
        if line not in found:  # a checkpoint that was saved after its evaluation has the line in both files
            found.append(line)
    return [record for record in found if isinstance(record, dict)]


def _list_shards(dataset: Path) -> list[Path]:
    """By name. Of a shard only the first rows are read, so it may be of any size."""
    return sorted(_list_inside(dataset, SHARDS))


def _list_files(folder: Path, pattern: str) -> Iterator[Path]:
    """The files that match and can be read whole."""
    yield from (file for file in _list_inside(folder, pattern) if file.stat().st_size <= MAX_BYTES)


def _list_inside(folder: Path, pattern: str) -> Iterator[Path]:
    """The files that match. No link leads out of the folder, such as to the credentials of the process that reads."""
    root = folder.resolve()
    for file in folder.glob(pattern):
        if file.is_file() and file.resolve().is_relative_to(root):
            yield file


def _embed(png: bytes) -> str:
    """The address of an image that is in the page itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _parse(text: str) -> dict[str, Any] | None:
    """None for anything but a JSON object."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
