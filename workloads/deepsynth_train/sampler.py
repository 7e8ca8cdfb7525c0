"""The order of everything as a function of the spec: which samples an optimizer step takes. Pure.

Epoch e is a seeded permutation of a multiset in which each sample stands floor(weight) times, and a seeded fraction
of the samples once more. Optimizer step s takes positions [sG, (s+1)G) of the concatenation of all epochs, where
G is the global batch size. So nothing is dropped at the end of an epoch, and another number of ranks sees
the same batches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Part:
    """Samples of one dataset. weight: how often each is seen per epoch."""

    samples: int
    weight: float = 1.0


class Sampler:
    """Pure and cheap to build; keeps the two epochs used last."""

    def __init__(self, parts: Sequence[Part], global_batch_size: int, seed: int, epochs: int | None = None) -> None:
        """epochs: where the order ends; None: never."""
        self.epoch_length = sum(_count_visits(part) for part in parts)
        self.global_batch_size = global_batch_size
        self._parts = tuple(parts)
        self._seed = seed
        self._end = None if epochs is None else epochs * self.epoch_length
        self._permute = lru_cache(maxsize=2)(self._build_epoch)

    @property
    def steps(self) -> int | None:
        """Optimizer steps in all; None without end. The last batch may be smaller."""
        return None if self._end is None else math.ceil(self._end / self.global_batch_size)

    def select_batch(self, step: int) -> NDArray[np.int64]:
        """Sample numbers of optimizer step `step`, counted from 0; parts are numbered through."""
        start = step * self.global_batch_size
        stop = start + self.global_batch_size
        if self._end is not None:
            stop = min(stop, self._end)
        pieces = []
        while start < stop:
            epoch, offset = divmod(start, self.epoch_length)
            piece = self._permute(epoch)[offset : offset + stop - start]
            pieces.append(piece)
            start += len(piece)
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)

    def _build_epoch(self, epoch: int) -> NDArray[np.int64]:
        generator = np.random.default_rng([self._seed, epoch])
        visits, offset = [], 0
        for part in self._parts:
            own = np.arange(offset, offset + part.samples)
            visits += [own] * math.floor(part.weight)
            visits.append(generator.permutation(own)[: _count_extra(part)])
            offset += part.samples
        return generator.permutation(np.concatenate(visits))


def split_batch(batch: NDArray[np.int64], tokens: NDArray[np.int64], rank: int, world_size: int) -> NDArray[np.int64]:
    """The share of one rank of a global batch, as even as possible; sorted by length, so that micro-batches pad little.

    tokens: length of each sample's sequence, by sample number. May be empty.
    """
    order = np.lexsort((batch, tokens[batch]))
    return batch[order][rank::world_size]


def derive_seed(seed: int, step: int, rank: int) -> int:
    """Seed of everything random in one step of one rank."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


def _count_extra(part: Part) -> int:
    return round((part.weight - math.floor(part.weight)) * part.samples)


def _count_visits(part: Part) -> int:
    return math.floor(part.weight) * part.samples + _count_extra(part)
