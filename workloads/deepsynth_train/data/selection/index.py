"""The kept samples of one split, by number: small arrays that all processes of a node share."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepsynth_train.coordination.progress import DroppedSamples

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

    def select(self, kept: NDArray[np.bool_], *, dropped: tuple[DroppedSamples, ...], seen: int) -> "SampleIndex":
        """Those samples of one dataset that are `kept`, (N,)."""
        count = np.array([kept.sum()])
        return SampleIndex(self.first[kept], self.pages[kept], self.tokens[kept], count, dropped, seen)

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
