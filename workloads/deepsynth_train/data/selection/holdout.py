"""Documents of a train split that are kept for evaluation, where a dataset has no validation split.

Which ones depends on their content alone, so on every node, in every attempt and for every seed they are the same:

    document       a    b    c    d    e    f        c is a copy of a
    hash          61   17   61   98   40   55        of its labels
    held out           b              e              the smallest hashes, up to the share that was asked for

A copy has the same hash, so copies are on the same side. Labels that make up more than the share, such as ten digits,
are distinguished by the sizes of their pages too. What remains are equal pages with different labels: if one is trained
on, the other is as well.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from deepsynth_train.data.files.columns import LABEL_COLUMNS, Task
from deepsynth_train.data.files.page_table import PageTable, get_image_bytes, is_text
from deepsynth_train.data.selection.index import SampleIndex

MAX_DOCUMENTS: Final = 2000
MIN_DOCUMENTS: Final = 10
"""Of a smaller train split nothing is held out: a document would be missed, and says little about the others."""

Size = tuple[int, int]
"""Number and bytes of a sample's pages. Copies have the same."""


def hold_out(
    index: SampleIndex, table: PageTable, task: Task, percent: int, on_rows: Callable[[], None]
) -> tuple[SampleIndex, SampleIndex]:
    """Split `index` into samples to train on and samples to evaluate on; the second is empty if there are too few.

    on_rows: called now and then, as a heartbeat.
    """
    data = _Documents(index, table, task, on_rows)
    held = np.isin(data.numbers, list(data.choose(percent)))
    train = index.select(~held, dropped=index.dropped, seen=index.seen)
    # Samples that were dropped before belong to the other part.
    return train, index.select(held, dropped=(), seen=int(held.sum()))


def count_documents(index: SampleIndex, table: PageTable, task: Task) -> int:
    return len(set(find_documents(index, table, task).tolist()))


class _Documents:
    """The documents of an index. numbers: which document each sample belongs to, (N,)."""

    def __init__(self, index: SampleIndex, table: PageTable, task: Task, on_rows: Callable[[], None]) -> None:
        self.numbers = find_documents(index, table, task)
        self._index = index
        self._table = table
        self._task: Task = task
        self._on_rows = on_rows

    def choose(self, percent: int) -> set[int]:
        """Numbers of the documents to hold out."""
        count = int(self.numbers.max(initial=-1)) + 1
        room = min(math.ceil(count * percent / 100), MAX_DOCUMENTS)
        if count < MIN_DOCUMENTS or not room:
            return set()
        sizes = _measure_samples(self._index, self._table)
        copies: dict[str, list[int]] = defaultdict(list)
        for document, key in enumerate(self._build_keys(sizes, room)):
            copies[key].append(document)
        chosen: set[int] = set()
        for _, group in sorted(copies.items()):
            if len(group) <= room - len(chosen):
                chosen.update(group)
        return self._drop_equal_pages(chosen, sizes)

    def _build_keys(self, sizes: Sequence[Size], room: int) -> list[str]:
        """A hash for each document: of its labels or, if more than `room` have those, of its pages' sizes as well."""
        parts: dict[int, list[int]] = defaultdict(list)
        for sample, document in enumerate(self.numbers.tolist()):
            parts[document].append(sample)
        labels = self._hash_labels()
        texts = [_hash(labels[sample] for sample in parts[document]) for document in range(len(parts))]
        frequent = Counter(texts)
        return [
            _hash([text, *(str(sizes[sample]) for sample in parts[document])]) if frequent[text] > room else text
            for document, text in enumerate(texts)
        ]

    def _drop_equal_pages(self, chosen: set[int], sizes: Sequence[Size]) -> set[int]:
        """`chosen` without documents that have a sample with the same pages as one to train on.

        Reads only pages of the same size, which are few in a dataset of any size.
        """
        pairs = list(zip(sizes, self.numbers.tolist(), strict=True))
        wanted = {size for size, document in pairs if document in chosen}
        found: dict[str, set[int]] = defaultdict(set)
        for sample, (size, document) in enumerate(pairs):
            if size in wanted:
                found[_hash_pages(self._index, self._table, sample)].add(document)
                self._on_rows()
        while both := {document for group in found.values() if not group <= chosen for document in group & chosen}:
            chosen = chosen - both
        return chosen

    def _hash_labels(self) -> list[str]:
        hashes: list[str] = []
        for column in self._table.iter_column(LABEL_COLUMNS[self._task]):
            hashes += [hashlib.sha256(text or b"").hexdigest() for text in _read_bytes(column)]
            self._on_rows()
        return [hashes[row] for row in self._index.first.tolist()]


def find_documents(index: SampleIndex, table: PageTable, task: Task) -> NDArray[np.int64]:
    """The number of each sample's document, (N,).

    With the task ocr, a document is all pages with its id; a page without an id is one of its own.
    """
    if task == "summarize" or "document_id" not in table.columns:
        return np.arange(len(index))
    numbers: dict[Any, int] = {}
    rows = [value for column in table.iter_column("document_id") for value in _read_bytes(column)]
    keys = ((row,) if rows[row] is None else rows[row] for row in index.first.tolist())
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _measure_samples(index: SampleIndex, table: PageTable) -> list[Size]:
    """Reads no image: their sizes are in the offsets of the column."""
    ends = np.cumsum(np.concatenate([[0], *(_measure_images(column) for column in table.iter_column("image"))]))
    total = ends[index.first + index.pages] - ends[index.first]
    return list(zip(index.pages.tolist(), total.tolist(), strict=True))


def _measure_images(column: Any) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.binary_length(get_image_bytes(column)), 0), dtype=np.int64)


def _read_bytes(column: Any) -> list[Any]:
    """Texts as bytes: some that no sample uses may not be UTF-8."""
    values: list[Any] = (column.cast(pa.binary()) if is_text(column.type) else column).to_pylist()
    return values


def _hash_pages(index: SampleIndex, table: PageTable, sample: int) -> str:
    first = int(index.first[sample])
    digest = hashlib.sha256()
    for row in range(first, first + int(index.pages[sample])):
        digest.update(hashlib.sha256(table.read_image(row, f"row {row}")).digest())
    return digest.hexdigest()


def _hash(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()
