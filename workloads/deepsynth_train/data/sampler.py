"""Which samples an optimizer step takes, as a function of the spec alone. Pure.

Epoch e is a seeded permutation of a multiset: each sample occurs floor(weight) times, and a seeded fraction of the
samples once more. All epochs form one sequence. Optimizer step s takes positions [sG, (s+1)G) of it, where G is the
global batch size. So no sample is dropped at the end of an epoch, and the batches do not depend on the number of ranks.

5 samples, G = 4, two epochs:

    position     0  1  2  3  4 | 5  6  7  8  9
    sample       2  0  4  1  3 | 1  3  0  2  4       each epoch in its own order
    step         0  0  0  0  1   1  1  1  2  2       the last step takes what is left

If a third epoch is added later, step 3 begins at position 10: `missing` is how many samples fewer than 4 per step the
steps before the extension took, 2 here.

`split_batch` splits a step into micro-batches of samples of similar length, and deals them to the ranks, forwards and
then backwards, so that no rank gets all the long ones. A step of 8 on 2 ranks with micro-batches of 2:

    batch        6  0  4  1  7  3  2  5       sorted by length:  1  4 | 0  2 | 7  3 | 5  6
    rank 0       [1 4]              [5 6]
    rank 1             [0 2]  [7 3]
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsynth_api.errors import ConfigurationError


@dataclass(frozen=True)
class Part:
    """samples: of one dataset. weight: how often each is seen per epoch; 1.5 is once, and half of them twice."""

    samples: int
    weight: float = 1.0


def build_parts(weights: Mapping[str, float], sizes: Sequence[int]) -> list[Part]:
    """weights: by the dataset's name. sizes: samples of each dataset, in the same order.

    Raises ConfigurationError for a weight so small that no sample of its dataset would be seen.
    """
    parts = [Part(int(size), weight) for size, weight in zip(sizes, weights.values(), strict=True)]
    for name, part in zip(weights, parts, strict=True):
        if not _count_visits(part):
            raise ConfigurationError(
                f"spec.datasets[{name}].weight: {part.weight:g} of {part.samples} samples rounds to no sample per "
                f"epoch; raise it to at least {math.ceil(1000 / part.samples) / 1000:g}, or remove the dataset"
            )
    return parts


class Sampler:
    """Cheap to build; caches the two most recent epochs."""

    def __init__(
        self,
        parts: Sequence[Part],
        global_batch_size: int,
        seed: int,
        epochs: int | None = None,
        *,
        missing: int = 0,
    ) -> None:
        """epochs: where the sequence ends; None for an endless one. missing: see `count_missing`."""
        self.missing = missing
        self.epoch_length = sum(_count_visits(part) for part in parts)
        self.global_batch_size = global_batch_size
        self._parts = tuple(parts)
        self._seed = seed
        self._end = None if epochs is None else epochs * self.epoch_length
        self._permute = lru_cache(maxsize=2)(self._build_epoch)

    @property
    def steps(self) -> int | None:
        """Optimizer steps in total; None for an endless sequence. The last batch may be smaller."""
        return None if self._end is None else math.ceil((self._end + self.missing) / self.global_batch_size)

    def find_position(self, step: int) -> int:
        """How many samples are trained on after this many steps: where the next one begins."""
        position = step * self.global_batch_size - self.missing
        return position if self._end is None else min(position, self._end)

    def select_batch(self, step: int) -> NDArray[np.int64]:
        """Sample numbers of optimizer step `step`, counted from 0: int64, (G,). Samples are numbered over all parts."""
        start = step * self.global_batch_size - self.missing
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


def count_missing(state: Mapping[str, Any], global_batch_size: int) -> int:
    """Of a checkpoint: how many samples fewer than `global_batch_size` per step its steps took.

    Not 0 when a run that ended with a smaller last batch continues. Checkpoints of earlier versions hold no position.
    """
    full = int(state.get("step", 0)) * global_batch_size
    return full - int(state.get("position", full))


def split_batch(
    batch: NDArray[np.int64], tokens: NDArray[np.int64], rank: int, world_size: int, size: int
) -> list[NDArray[np.int64]]:
    """The micro-batches of one rank of a global batch (G,): at most `size` samples each, and as many on every rank.

    Samples of a rank are equally many up to one, so a micro-batch may be empty. tokens: sequence length of each sample,
    by its number.
    """
    rounds = math.ceil(len(batch) / (world_size * size))
    pieces = np.array_split(sort_by_length(batch, tokens), rounds * world_size)
    places = (rank if number % 2 == 0 else world_size - 1 - rank for number in range(rounds))
    return [pieces[number * world_size + place] for number, place in enumerate(places)]


def sort_by_length(batch: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """The samples of `batch` by length, then by number: (G,) -> (G,)."""
    return batch[np.lexsort((batch, tokens[batch]))]


def derive_seed(seed: int, step: int, rank: int) -> int:
    """Seed for all randomness (dropout) in one step on one rank."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


def _count_extra(part: Part) -> int:
    return round((part.weight - math.floor(part.weight)) * part.samples)


def _count_visits(part: Part) -> int:
    return math.floor(part.weight) * part.samples + _count_extra(part)
