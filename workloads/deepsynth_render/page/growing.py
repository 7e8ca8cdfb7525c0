"""Rows of integers that grow in place: the caches of words and glyphs are made of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class GrowingRows:
    """An array (rows, columns) of int64 with a cheap append: new rows are copied into it when it is next read."""

    def __init__(self, columns: int) -> None:
        self._rows = np.zeros((256, columns), np.int64)  # (capacity, columns), of which the first _count are in use
        self._count = 0
        self._added: list[Sequence[int]] = []  # not copied yet

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
        """(rows, columns) int64: a view, which may be stale after the next append."""
        if self._added:
            first, self._count = self._count, len(self)
            if self._count > len(self._rows):
                # Twice what is needed, so that appending n rows copies O(n) of them in total.
                self._rows = np.resize(self._rows, (2 * self._count, self._rows.shape[1]))
            self._rows[first : self._count] = self._added
            self._added = []
        return self._rows[: self._count]


def expand_ranges(first: Ints, count: Ints) -> Ints:
    """The indices in several ranges, one range after another. first, count: (ranges,); the result: (sum of count,).

    >>> expand_ranges(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    ends = np.cumsum(count)  # (ranges,) where each range ends in the result
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - ends + count, count)
