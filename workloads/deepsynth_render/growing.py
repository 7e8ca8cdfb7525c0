"""Rows of integers that grow in place: what the caches of words and glyphs are made of."""

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integer = TypeVar("Integer", np.int64, np.uint8)


class GrowingRows(Generic[Integer]):
    """A numpy array of shape (rows, columns) with an amortised append. The views it hands out are read at once."""

    def __init__(self, columns: int, dtype: type[Integer]) -> None:
        self._rows = np.zeros((256, columns), dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> NDArray[Integer]:
        return self._rows[: self._count]

    def extend(self, rows: ArrayLike) -> int:
        """Append (n, columns) integers, or nothing when n is 0, and say how many rows there were before."""
        added = np.asarray(rows, self._rows.dtype)
        first, self._count = self._count, self._count + len(added)
        if self._count > len(self._rows):
            grown = np.zeros((max(self._count, 2 * len(self._rows)), self._rows.shape[1]), self._rows.dtype)
            grown[:first] = self._rows[:first]
            self._rows = grown
        if len(added):
            self._rows[first : self._count] = added
        return first


def expand_ranges(first: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices of several ranges one after another: first [7, 2], count [2, 3] give [7, 8, 2, 3, 4]."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - ends + count, count)
