"""What a sample is: with spec.task `ocr` a page, with `summarize` a document with all its pages in order.

row               0    1    2    3    4    5       a page each
document_id       d0   d1   d1   d2   d2   d2
ocr               0    1    2    3    4    5       6 samples
summarize         0    1--------  2------------    3 samples: first = [0, 1, 3], pages = [1, 2, 3]
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_train.data.files.columns import LABEL_COLUMNS, Task, find_other_task
from deepsynth_train.data.files.page_order import ORDER_COLUMNS, read_page_numbers
from deepsynth_train.data.files.page_table import PageTable, is_number, is_text
from deepsynth_train.data.selection.index import SampleIndex
from deepsynth_train.data.selection.lengths import count_tokens
from deepsynth_train.data.selection.limits import Limits, apply_reasons, check_enough, find_too_long
from deepsynth_train.models.interface.page_model import PageModel

_BATCH_LABELS: Final = 512
_BATCH_CHARACTERS: Final = 500_000
"""Of labels that are encoded at once: tokenizers take up to 200 bytes for each token meanwhile."""


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
        Reason.PAGES_MISSING: _find_incomplete(table, task, first, pages) | _find_disordered(table, task, first, pages),
        **find_too_long(pages, labels, tokens, model, limits),
    }
    kept, dropped = apply_reasons(reasons, len(first))
    index = SampleIndex(first[kept], pages[kept], tokens[kept], np.array([kept.sum()]), dropped, len(first))
    check_enough(index, limits, where, first_dropped=None if kept.all() else int(first[~kept][0]))
    return index


def _check_columns(table: PageTable, task: Task, where: str) -> None:
    column = LABEL_COLUMNS[task]
    if not len(table):
        return
    if column not in table.columns:
        known, other = ", ".join(sorted(table.columns)), find_other_task(task, table.columns)
        hint = f"; set spec.task to {other} to use the column {LABEL_COLUMNS[other]!r}" if other else ""
        raise DataError(f"{where}: no column {column!r}, which spec.task {task} needs; the columns are {known}{hint}")
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
    for rows, texts in _batch_labels(table, task, wanted, where):
        lengths[rows] = model.count_label_tokens(texts)
        on_rows()
    return lengths[first]


def _batch_labels(
    table: PageTable, task: Task, wanted: NDArray[np.bool_], where: str
) -> Iterator[tuple[list[int], list[str]]]:
    """The labels of the wanted rows, in batches that are large enough for all cores. Those of a file are smaller."""
    rows: list[int] = []
    texts: list[str] = []
    size = start = 0
    for column in table.iter_column(LABEL_COLUMNS[task]):
        for row in (start + np.flatnonzero(wanted[start : start + len(column)])).tolist():
            texts.append(_read_text(column, row - start, f"{where}: row {row}"))
            rows.append(row)
            size += len(texts[-1])
            if len(rows) == _BATCH_LABELS or size >= _BATCH_CHARACTERS:
                yield rows, texts
                rows, texts, size = [], [], 0
        start += len(column)
    if rows:
        yield rows, texts


def _read_text(column: Any, row: int, where: str) -> str:
    """Text of a cell, "" for null and for nothing but blanks."""
    try:
        text: str = column[row].as_py() or ""
        return "" if text.isspace() else text
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


def _find_disordered(
    table: PageTable, task: Task, first: NDArray[np.int64], pages: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which documents lie in two files, and their pages are not in order there: rows are sorted within each file."""
    found = np.zeros(len(first), dtype=bool)
    if task == "ocr" or not len(first) or not table.columns >= ORDER_COLUMNS:
        return found
    for row in table.file_starts[1:-1].tolist():
        sample = int(np.searchsorted(first, row, side="right")) - 1
        if first[sample] < row < first[sample] + pages[sample]:
            numbers = read_page_numbers(pa.array([table.read(row - 1, "page"), table.read(row, "page")]))
            found[sample] |= numbers is not None and bool(numbers[1] < numbers[0] < np.inf)
    return found
