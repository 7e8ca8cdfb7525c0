"""Rows of integers that grow in place: the caches of words and glyphs are made of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Ints32 = NDArray[np.int32]


class GrowingRows:
    """An array (rows, columns) of int32 with a cheap append: new rows are copied into it when it is next read.

    count: of rows.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.count = 0
        self._rows = np.empty((256, columns), np.int32)  # (capacity, columns), of which the first ones are in use
        self._added: list[Sequence[int]] = []  # the last rows, which are not in _rows yet

    def append(self, *row: int) -> int:
        """Append a row and return its index."""
        self._added.append(row)
        self.count += 1
        return self.count - 1

    def extend(self, rows: Sequence[Sequence[int]]) -> int:
        """Append rows and return the index of the first."""
        first = self.count
        self._added.extend(rows)
        self.count += len(rows)
        return first

    def extend_array(self, rows: Ints | Ints32) -> int:
        """The same for an array (n, columns)."""
        self._copy_added()
        first = self.count
        self.count += len(rows)
        self._copy(rows)
        return first

    def read(self) -> Ints32:
        """(rows, columns) int32: a view, which may be stale after the next append."""
        self._copy_added()
        return self._rows[: self.count]

    def take(self, indices: Ints) -> Ints:
        """(n, columns) int64: a copy of the rows with these indices. indices: (n,)."""
        return self.read()[indices].astype(np.int64)

    def _copy_added(self) -> None:
        if self._added:
            self._copy(np.array(self._added))
            self._added = []

    def _copy(self, rows: Ints | Ints32) -> None:
        """Write the last rows to their place."""
        first = self.count - len(rows)
        if self.count > len(self._rows):
            # Half more than is needed, so that appending n rows copies O(n) of them in total.
            larger = np.empty((self.count + self.count // 2, self.columns), np.int32)
            larger[:first] = self._rows[:first]
            self._rows = larger
        self._rows[first : self.count] = rows


def expand_ranges(first: Ints, count: Ints) -> Ints:
    """The indices in several ranges, one range after another. first, count: (ranges,); the result: (sum of count,).

    >>> expand_ranges(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    ends = np.cumsum(count)  # (ranges,) where each range ends in the result
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - ends + count, count)
