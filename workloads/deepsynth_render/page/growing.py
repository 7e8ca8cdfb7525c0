"""Rows of integers that grow in place: what the caches of words and glyphs are made of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class GrowingRows:
    """An array (rows, columns) of int64 with a cheap append: new rows are copied into it when it is next read."""

    def __init__(self, columns: int) -> None:
        self._rows = np.zeros((256, columns), np.int64)
        self._count = 0
        self._added: list[Sequence[int]] = []

    def __len__(self) -> int:
        return self._count + len(self._added)

    def append(self, *row: int) -> int:
        """Append a row and return its index."""
        self._added.append(row)
        return len(self) - 1

    def extend(self, rows: Sequence[Sequence[int]]) -> int:
        """Append rows and return the index of the first."""
        first = len(self)
        self._added.extend(rows)
        return first

    def read(self) -> Ints:
        """(rows, columns), a view that later rows may leave stale."""
        if self._added:
            first, self._count = self._count, len(self)
            if self._count > len(self._rows):
                self._rows = np.resize(self._rows, (2 * self._count, self._rows.shape[1]))
            self._rows[first : self._count] = self._added
            self._added = []
        return self._rows[: self._count]


def expand_ranges(first: Ints, count: Ints) -> Ints:
    """The indices of several ranges one after another: first [7, 2], count [2, 3] give [7, 8, 2, 3, 4]."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - ends + count, count)
