"""Read what the report shows and a resource's status does not hold: sample pages, curves and written samples.

The files are those of a run, which are untrusted: no link is followed, a file that is too large or damaged is skipped.
The path of a folder has no link either (`Path.resolve`), see deepsynth_client.untrusted_files.
"""

import base64
import json
import os
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeGuard

from deepsynth_api.counted import counted
from deepsynth_client.interface import Manifest
from deepsynth_client.report.charts import Point
from deepsynth_client.untrusted_files import open_inside, read_inside

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
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""JSON can hold them as \\ud800; UTF-8, and so a page, cannot."""
_MAX_STEP: Final = 2**53
_MAX_VALUE: Final = 1e300
_READ_ROWS: Final = 256
DAMAGE: Final = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError)
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
    """Points (step, value) of one training run; the fields have the names of the lines in metrics.jsonl.

    skipped: how many of its values are not points, because they or their steps are not finite or too large; by name.
    damaged: how many lines are not JSON objects.
    """

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
    skipped: Mapping[str, int] = field(default_factory=dict)
    damaged: int = 0

    def describe_skipped(self) -> list[str]:
        """A sentence for each kind of what is not shown."""
        notes = [
            f"{METRICS_FILE}: {counted(count, 'value')} of {name} not shown: it or its step is not finite or too large"
            for name, count in self.skipped.items()
        ]
        damaged = f"{METRICS_FILE}: {counted(self.damaged, 'damaged line')} not shown"
        return [*notes, damaged] if self.damaged else notes


_NAMES: Final = tuple(item.name for item in fields(Curves) if item.name not in {"skipped", "damaged"})


def find_results(resource: Manifest) -> str:
    """The URI of the folder with what a report shows of the resource."""
    field = "checkpoint" if resource["kind"] == "TrainingRun" else "output"
    return str((resource["spec"].get(field) or {}).get("uri", ""))


def has_files(resource: Manifest) -> bool:
    """Whether a pod of it has run; before that, it has no files."""
    status = resource.get("status", {})
    return bool(status.get("attempts") or status.get("jobs"))


def has_results(resource: Manifest) -> bool:
    """Whether it has what a report shows: a run files of its pods, a generation a published dataset."""
    if resource["kind"] == "TrainingRun":
        return has_files(resource)
    return has_files(resource) and bool(resource["status"].get("output"))


def stamp_results(folder: Path) -> Hashable:
    """Differs when what this module reads of a folder was written since."""
    metrics = _find_metrics(folder)
    curve = [metrics, _name_evaluation(metrics)] if metrics else []
    shard = _find_shard(folder)
    names = [*curve, *_list_files(folder, SAMPLES), *([shard] if shard else [])]
    return stamp_files(folder, names)


def stamp_files(folder: Path, names: Sequence[str]) -> Hashable:
    """Differs when one of these files was written since."""
    return tuple((name, found.st_mtime_ns) for name in names if (found := _stat(folder, name)))


def read_sample_pages(dataset: Path, count: int = MAX_SAMPLE_PAGES) -> list[SamplePage]:
    """Pages spread over the first rows of a dataset's folder: of each stretch of rows the page with most text.

    Empty for a damaged file: a user may have changed the folder since, and that must not fail the report.
    """
    name = _find_shard(dataset)
    if name is None:
        return []
    try:
        with open_inside(dataset, name) as file:
            return _choose_pages(_read_rows(file), count)
    except DAMAGE:
        return []


def _read_rows(file: BinaryIO) -> list[dict[str, Any]]:
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
    points: dict[str, list[Point]] = {name: [] for name in _NAMES}
    skipped: Counter[str] = Counter()
    records = _read_records(checkpoints)
    for record in filter(None, records):
        step = record.get("step")
        x = float(step) if isinstance(step, int) and abs(step) < _MAX_STEP else None
        for name in _NAMES:
            value = record.get(name)
            if x is not None and _is_measured(value):
                points[name].append((x, float(value)))
            elif value is not None:
                skipped[name] += 1
    return Curves(**points, skipped=skipped, damaged=records.count(None))


def _is_measured(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and abs(value) < _MAX_VALUE


def read_written_samples(checkpoints: Path, step: int | None = None) -> list[WrittenSample]:
    """The samples of the evaluation after `step`, else of the last one, with their pages; empty if their file cannot
    be read.
    """
    names = _list_files(checkpoints, SAMPLES)
    files = {number: name for name in names if (number := _parse_step(Path(name).stem)) is not None}
    if not files:
        return []
    name = files[step if step in files else max(files)]
    try:
        document = json.loads(read_inside(checkpoints, name, MAX_BYTES))
        return _build_samples(document["samples"], int(document["step"]), checkpoints)
    except DAMAGE:
        return []


def _build_samples(entries: Sequence[Mapping[str, Any]], step: int, checkpoints: Path) -> list[WrittenSample]:
    """The first ones that fit. Pages are read from the folder of pages only."""
    if abs(step) >= _MAX_STEP:
        raise ValueError("step is too large")
    samples: list[WrittenSample] = []
    left = MAX_SAMPLE_BYTES
    for entry in entries[:MAX_SAMPLES]:
        sample = _build_sample(entry, step, checkpoints, left)
        left -= len(sample.reference) + len(sample.written) + sum(map(len, sample.pages))
        if left < 0:
            break
        samples.append(sample)
    if samples and len(samples) < len(entries):
        note = f"{counted(len(entries) - len(samples), 'more sample')} not shown"
        samples[-1] = replace(samples[-1], note="; ".join(filter(None, (samples[-1].note, note))))
    return samples


def _build_sample(entry: Mapping[str, Any], step: int, checkpoints: Path, left: int) -> WrittenSample:
    """With the first pages that have at most `left` bytes together."""
    pages: list[bytes] = []
    for name in entry["pages"][:MAX_PAGES]:
        with open_inside(checkpoints, f"samples/pages/{Path(str(name)).name}") as file:
            page = file.read(left + 1)
        left -= len(page)
        if left < 0:
            break
        pages.append(page)
    cer = entry["cer"]
    if not _is_measured(cer):
        raise ValueError("cer must be a finite number")
    missing = len(entry["pages"]) - len(pages)
    note = f"{counted(missing, 'more page')} not shown" if missing else ""
    name, reference, written = (
        _LONE_SURROGATE.sub("\ufffd", str(entry[key])) for key in ("name", "reference", "written")
    )
    return WrittenSample(name, step, reference, written, float(cer), pages, note)


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


def _find_metrics(checkpoints: Path) -> str | None:
    """The file of the newest checkpoint."""
    names = _list_files(checkpoints, f"step-*/{METRICS_FILE}")
    steps = {step: name for name in names if (step := _parse_step(Path(name).parent.name)) is not None}
    return steps[max(steps)] if steps else None


def _name_evaluation(metrics: str) -> str:
    return str(Path(metrics).with_name(EVALUATION_FILE))


def _read_records(checkpoints: Path) -> list[dict[str, Any] | None]:
    """The JSON objects of a file, one a line, and the evaluation of the checkpoint itself, which was saved before it.

    None for any other line: a broken one must not fail the report.
    """
    metrics = _find_metrics(checkpoints)
    if metrics is None:
        return []
    found = [_parse(line) for line in _read_text(checkpoints, metrics).splitlines() if line.strip()]
    text = _read_text(checkpoints, _name_evaluation(metrics))
    line = (_parse(text) or {}).get("line")
    if not isinstance(line, dict):
        return [*found, None] if text.strip() else found
    if line not in found:  # a checkpoint that was saved after its evaluation has the line in both files
        found.append(line)
    return found


def _read_text(folder: Path, name: str) -> str:
    """Empty if the file cannot be read."""
    try:
        return read_inside(folder, name, MAX_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _find_shard(dataset: Path) -> str | None:
    """The first by name. Only its first rows are read, so it may be of any size."""
    return next((name for name in _list(dataset, SHARDS) if _stat(dataset, name)), None)


def _list_files(folder: Path, pattern: str) -> list[str]:
    """The names of the files that match and can be read whole."""
    names = _list(folder, pattern)
    return [name for name in names if (found := _stat(folder, name)) and found.st_size <= MAX_BYTES]


def _list(folder: Path, pattern: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern))


def _stat(folder: Path, name: str) -> os.stat_result | None:
    """None unless it can be read."""
    try:
        with open_inside(folder, name) as file:
            return os.fstat(file.fileno())
    except OSError:
        return None


def _parse_step(name: str) -> int | None:
    """step-10 -> 10; None for anything else, such as step-10.tmp-attempt-1."""
    number = name.removeprefix("step-")
    return int(number) if number.isdecimal() else None


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
