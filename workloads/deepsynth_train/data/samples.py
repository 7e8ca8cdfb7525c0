"""What a sample is: with spec.task `ocr` a page, with `summarize` a document with all its pages in order.

row               0    1    2    3    4    5       a page each
document_id       d0   d1   d1   d2   d2   d2
ocr               0    1    2    3    4    5       6 samples
summarize         0    1--------  2------------    3 samples: first = [0, 1, 3], pages = [1, 2, 3]
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepsynth_api.errors import DataError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_train.coordination.progress import DroppedSamples
from deepsynth_train.data.columns import LABEL_COLUMNS, Task
from deepsynth_train.data.images import read_page
from deepsynth_train.data.lengths import count_tokens
from deepsynth_train.data.pages import PageTable, RowNames, is_number, is_text
from deepsynth_train.models.interface.page_model import PageModel

_FIELDS = ("first", "pages", "tokens", "sizes")


@dataclass(frozen=True)
class SampleIndex:
    """The kept samples of one split, N in total.

    first: row of the first page, (N,). pages: number of rows from there, (N,). tokens: length of the whole sequence,
    (N,). sizes: samples of each dataset, in order, (datasets,). seen: number of samples before any was dropped.
    """

    first: NDArray[np.int64]
    pages: NDArray[np.int64]
    tokens: NDArray[np.int64]
    sizes: NDArray[np.int64]
    dropped: tuple[DroppedSamples, ...] = ()
    seen: int = 0

    def __len__(self) -> int:
        return len(self.first)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FIELDS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        dropped = {drop.reason: drop.samples for drop in self.dropped}
        (folder / "index.json").write_text(json.dumps({"seen": self.seen, "dropped": dropped}))

    @classmethod
    def load(cls, folder: Path) -> "SampleIndex":
        """The arrays are memory-mapped, so all processes of the node share them."""
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _FIELDS}
        document = json.loads((folder / "index.json").read_text())
        dropped = tuple(DroppedSamples(reason, count) for reason, count in document["dropped"].items())
        return cls(**arrays, dropped=dropped, seen=int(document["seen"]))


@dataclass(frozen=True)
class Limits:
    """None: only the model's own limit. max_dropped_percent: of the samples, 0 to 100."""

    max_label_tokens: int | None
    max_sequence_tokens: int | None
    max_dropped_percent: int


def build_index(
    table: PageTable, task: Task, model: PageModel, limits: Limits, *, where: str, on_rows: Callable[[], None]
) -> SampleIndex:
    """Group pages into samples and drop, counted by reason, those that do not fit the model as a whole.

    where: the dataset and split, for messages. on_rows: called now and then, as a heartbeat. Raises DataError when a
    column is missing, no sample is left, or more than max_dropped_percent are dropped.
    """
    _check_columns(table, task, where)
    first, pages = _group_pages(table, task, where)  # (samples,) each, as all arrays below
    labels = _measure_labels(table, task, first, model, where=where, on_rows=on_rows)
    tokens = count_tokens(table, first, pages, labels, model.family, where=where, on_rows=on_rows)
    reasons = {
        Reason.NO_LABEL: labels == 0,
        Reason.PAGES_MISSING: _find_incomplete(table, task, first, pages),
        **find_too_long(pages, labels, tokens, model, limits),
    }
    kept, dropped = _apply_reasons(reasons, len(first))
    index = SampleIndex(first[kept], pages[kept], tokens[kept], np.array([kept.sum()]), dropped, len(first))
    _check_enough(index, limits, where)
    return index


_REMEDIES: Final[Mapping[str, str]] = {
    Reason.NO_LABEL: "give every document a summary or a text",
    Reason.PAGES_MISSING: "publish the dataset again with all pages of its documents",
    Reason.TOO_MANY_PAGES: "use a model that reads more pages per document, spec.task ocr, or larger pages",
    Reason.LABEL_TOO_LONG: "raise spec.maxLabelTokens, up to the model's context",
    Reason.SEQUENCE_TOO_LONG: "raise spec.maxSequenceTokens, up to the model's context",
}


def find_too_long(
    pages: NDArray[np.int64],
    labels: NDArray[np.int64],
    tokens: NDArray[np.int64],
    model: PageModel,
    limits: Limits,
) -> dict[str, NDArray[np.bool_]]:
    """Which samples do not fit as a whole, by reason: bool, (samples,) each. Samples are never truncated."""
    context = min(limits.max_sequence_tokens or model.family.context_tokens, model.family.context_tokens)
    return {
        Reason.TOO_MANY_PAGES: pages > (model.family.max_pages or context),
        Reason.LABEL_TOO_LONG: labels + 1 > (limits.max_label_tokens or context),
        Reason.SEQUENCE_TOO_LONG: tokens > context,
    }


def _apply_reasons(
    reasons: Mapping[str, NDArray[np.bool_]], samples: int
) -> tuple[NDArray[np.bool_], tuple[DroppedSamples, ...]]:
    """Which samples are kept, and the counts; a sample counts for the first reason that applies."""
    kept = np.ones(samples, dtype=bool)
    dropped = []
    for reason, bad in reasons.items():
        if count := int((bad & kept).sum()):
            dropped.append(DroppedSamples(reason, count))
        kept &= ~bad
    return kept, tuple(dropped)


def concatenate(indexes: Sequence[SampleIndex], rows: Sequence[int]) -> SampleIndex:
    """One index over several datasets, one after the other. rows: pages of each one's table."""
    offsets = np.cumsum([0, *rows])
    counts: Counter[str] = Counter()
    for index in indexes:
        counts.update({drop.reason: drop.samples for drop in index.dropped})
    return SampleIndex(
        first=np.concatenate([index.first + offset for index, offset in zip(indexes, offsets, strict=False)]),
        pages=np.concatenate([index.pages for index in indexes]),
        tokens=np.concatenate([index.tokens for index in indexes]),
        sizes=np.concatenate([index.sizes for index in indexes]),
        dropped=tuple(DroppedSamples(reason, count) for reason, count in counts.items()),
        seen=sum(index.seen for index in indexes),
    )


def _check_columns(table: PageTable, task: Task, where: str) -> None:
    column = LABEL_COLUMNS[task]
    if not len(table):
        return
    if column not in table.columns:
        known = ", ".join(sorted(table.columns))
        raise DataError(f"{where}: no column {column!r}, which spec.task {task} needs; the columns are {known}")
    for kind in table.find_types(column):
        if not is_text(kind):
            raise DataError(f"{where}: column {column!r} must hold text, got {kind}; convert it to strings")
    for kind in table.find_types("num_pages"):
        if not is_number(kind):
            raise DataError(f"{where}: column 'num_pages' must hold whole numbers, got {kind}; convert or remove it")


def _group_pages(table: PageTable, task: Task, where: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row of the first page and number of pages, per sample. A row without a document id is a document."""
    if task == "ocr" or "document_id" not in table.columns:
        return np.arange(len(table)), np.ones(len(table), dtype=np.int64)
    starts, previous, row = [], None, 0
    for column in table.iter_column("document_id"):
        try:
            values = column.to_pylist()
        except UnicodeDecodeError as error:
            message = f"{where}: column 'document_id' is not UTF-8 below row {row} ({error}); upload it again"
            raise DataError(message) from error
        for value in values:
            if value is None or value != previous:
                starts.append(row)
            previous, row = value, row + 1
    first = np.array(starts, dtype=np.int64)
    return first, np.diff(first, append=row)


def _measure_labels(
    table: PageTable,
    task: Task,
    first: NDArray[np.int64],
    model: PageModel,
    *,
    where: str,
    on_rows: Callable[[], None],
) -> NDArray[np.int64]:
    """Label tokens of each sample, without EOS; 0 for a missing label."""
    lengths = np.zeros(len(table), dtype=np.int64)
    wanted = np.zeros(len(table), dtype=bool)
    wanted[first] = True
    row = 0
    for column in table.iter_column(LABEL_COLUMNS[task]):
        rows = [row + n for n in range(len(column)) if wanted[row + n]]
        texts = [_read_text(column, n - row, f"{where}: row {n}") for n in rows]
        if texts:
            lengths[rows] = [len(ids) for ids in model.encode_labels(texts)]
        row += len(column)
        on_rows()
    return lengths[first]


def _read_text(column: Any, row: int, where: str) -> str:
    """Text of a cell, "" for null."""
    try:
        return column[row].as_py() or ""
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: the label is not UTF-8 ({error}); upload it again") from error


def _find_incomplete(
    table: PageTable, task: Task, first: NDArray[np.int64], pages: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which documents do not have all their pages in consecutive rows; null in num_pages says nothing."""
    if task == "ocr" or not len(first) or not {"document_id", "num_pages"} <= table.columns:
        return np.zeros(len(first), dtype=bool)
    columns = [np.asarray(column, dtype=np.float64) for column in table.iter_column("num_pages")]
    expected = np.concatenate(columns)[first]  # (samples,), NaN for null
    return np.asarray((expected != pages) & ~np.isnan(expected))


def _check_enough(index: SampleIndex, limits: Limits, where: str) -> None:
    counts = ", ".join(f"{drop.samples} {drop.reason}" for drop in index.dropped)
    if not len(index):
        raise DataError(f"{where}: no usable sample ({counts or 'it is empty'}); check its source and filters")
    percent = 100 * (index.seen - len(index)) / index.seen
    if percent > limits.max_dropped_percent:
        remedies = ", ".join(_REMEDIES[drop.reason] for drop in index.dropped)
        raise DataError(
            f"{where}: {percent:.1f} % of {index.seen} samples are dropped ({counts}), more than "
            f"spec.maxDroppedPercent {limits.max_dropped_percent}; {remedies}, or raise that limit",
            reason=Reason.TOO_MANY_SAMPLES_DROPPED,
        )


@contextmanager
def explain_sample_errors(where: str, column: str) -> Iterator[None]:
    """Turn errors of libraries about one sample into DataError with its name: another attempt would repeat them.

    Errors of memory and of the disk stay what they are.
    """
    try:
        yield
    except (WorkloadError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = f"{type(error).__name__}: {error}"[:500]
        raise DataError(f"{where}: cannot use column {column!r} ({text}); fix or remove the row") from error


class SampleSet:
    """The samples of an index, read from its page table by number. names: of the table's rows, for messages."""

    def __init__(self, table: PageTable, task: Task, index: SampleIndex, names: RowNames) -> None:
        self.index = index
        self._table = table
        self._task: Task = task
        self._names = names

    def __len__(self) -> int:
        return len(self.index)

    @property
    def label_column(self) -> str:
        return LABEL_COLUMNS[self._task]

    def read_label(self, sample: int) -> str:
        return str(self._table.read(int(self.index.first[sample]), self.label_column))

    def read_pages(self, sample: int) -> Sequence[bytes]:
        """Encoded images of the sample's pages, in order."""
        return [self._table.read_image(row, self._names.name(row)) for row in self._list_rows(sample)]

    def open_pages(self, sample: int) -> Sequence[Image.Image]:
        """The sample's pages as pictures in mode L or RGB. Raises DataError, naming the row, for a bad image."""
        rows = self._list_rows(sample)
        return [read_page(page, self._names.name(row)) for row, page in zip(rows, self.read_pages(sample), strict=True)]

    def _list_rows(self, sample: int) -> range:
        first = int(self.index.first[sample])
        return range(first, first + int(self.index.pages[sample]))

    def name(self, sample: int) -> str:
        """For messages: its dataset, rows and split, such as `spec.datasets[d]: rows 3 to 5 of the train split`."""
        rows = self._list_rows(sample)
        return self._names.name(rows.start, len(rows))
