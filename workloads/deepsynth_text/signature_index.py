"""Finds similar signatures among many, also where a search by hashes alone would compare all with all.

A signature that differs from another in at most two places has the same number in one of any three places. So only
those are compared that have a number in common at the places where the numbers are rarest:

    signatures     1: 7 4 9 2     2: 7 4 9 5     3: 7 4 1 8     search 7 4 6 5, at most two places may differ
    with the number        7: 1 2 3    4: 1 2 3    6: none    5: 2          the rarest three: 6, 5 and 7
    compared               2, which is similar

Texts that are made from one template share most numbers, and differ in rare ones. Texts that are all alike are found by
the first comparison. A signature is compared at most once in a search.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint32]
"""A signature, (places,)."""

_BLOCK: Final = 128
_GROWTH: Final = 4
_COMPARED: Final = 512
"""Signatures that are compared at once: their numbers fit a core's cache."""
_ROW_BITS: Final = 25
_ROWS: Final = np.uint64((1 << _ROW_BITS) - 1)


class SignatureIndex:
    """Signatures by their numbers, in about 1.6 KB each with 128 places, and twice that while it grows."""

    def __init__(self, places: int, least: int) -> None:
        """places: at most 128. least: in how many of them the signatures of similar texts agree."""
        self._least = least
        self._recent = _Block(np.empty((_BLOCK, places), np.uint32), np.empty(_BLOCK, np.int64))
        self._size = 0
        self._blocks: list[_SortedBlock] = []

    def add(self, signature: Numbers, number: int) -> None:
        """number: what `find` returns for it."""
        self._recent.signatures[self._size] = signature
        self._recent.numbers[self._size] = number
        self._size += 1
        if self._size == _BLOCK:
            self._sort_recent()

    def _sort_recent(self) -> None:
        """Each block is more than four times as large as the next, so that there are few, and few are sorted again."""
        blocks, size = [self._recent], self._size
        while self._blocks and len(self._blocks[-1].block.numbers) <= _GROWTH * size:
            blocks.insert(0, self._blocks.pop().block)
            size += len(blocks[0].numbers)
        signatures = np.concatenate([block.signatures for block in blocks])
        self._blocks.append(_SortedBlock(_Block(signatures, np.concatenate([block.numbers for block in blocks]))))
        self._size = 0

    def find(self, signature: Numbers) -> int | None:
        """The number of a similar one, None if there is none."""
        for block in self._blocks:
            for rows in block.list_candidates(signature, self._least):
                if (number := block.block.find(rows, signature, self._least)) is not None:
                    return number
        return self._recent.find(slice(self._size), signature, self._least)


class _Block:
    """signatures: (rows, places). numbers: (rows,)."""

    def __init__(self, signatures: NDArray[np.uint32], numbers: NDArray[np.int64]) -> None:
        self.signatures = signatures
        self.numbers = numbers

    def find(self, rows: NDArray[np.intp] | slice, signature: Numbers, least: int) -> int | None:
        """The number of the first of these rows that is similar."""
        equal = (self.signatures[rows] == signature).sum(axis=1, dtype=np.uint8)
        found = np.flatnonzero(equal >= least)
        return int(self.numbers[rows][found[0]]) if len(found) else None


class _SortedBlock:
    """A block with a sorted key for each place and row: the place, the number there, and the row."""

    def __init__(self, block: _Block) -> None:
        rows, places = block.signatures.shape
        keys = _build_keys(block.signatures.T, np.arange(places)[:, None]) | np.arange(rows, dtype=np.uint64)
        keys.sort(axis=1)
        self.block = block
        self._keys = keys.reshape(-1)

    def list_candidates(self, signature: Numbers, least: int) -> Iterator[NDArray[np.intp]]:
        """All rows that may be similar, once each, some at a time."""
        wanted = _build_keys(signature, np.arange(len(signature)))
        enough = len(signature) - least + 1
        if not self._count(wanted[:enough])[1].any():  # nearly always: a text that shares nothing with any other
            return
        starts, counts = self._count(wanted)
        seen = np.zeros(len(self.block.numbers), bool)
        for place in np.argsort(counts, kind="stable")[:enough].tolist():
            end = int(starts[place] + counts[place])
            for start in range(int(starts[place]), end, _COMPARED):
                rows = (self._keys[start : min(end, start + _COMPARED)] & _ROWS).astype(np.intp)
                rows = rows[~seen[rows]]
                seen[rows] = True
                yield rows

    def _count(self, wanted: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where the rows with each of these keys begin, and how many there are."""
        starts = np.searchsorted(self._keys, wanted)
        return starts, np.searchsorted(self._keys, wanted | _ROWS, side="right") - starts


def _build_keys(numbers: NDArray[np.uint32], places: NDArray[np.intp]) -> NDArray[np.uint64]:
    """The keys of row 0."""
    return (places.astype(np.uint64) << np.uint64(32 + _ROW_BITS)) | (numbers.astype(np.uint64) << np.uint64(_ROW_BITS))
