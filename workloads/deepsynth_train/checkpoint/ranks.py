"""The ranks that save and load together, on a gloo group of their own. Without a process group: one rank."""

from datetime import timedelta
from typing import Any, Self

import torch.distributed as dist

TIMEOUT = timedelta(hours=1)
"""Longest that ranks wait for each other: hashing and writing many gigabytes to a slow volume."""


class RaisedOnPeer(Exception):  # noqa: N818 - a mark in the chain of causes, never raised by itself
    """Cause of an error that another rank met and this one only hears of."""

    def __init__(self, rank: int) -> None:
        super().__init__(f"on rank {rank}")


class Ranks:
    """Collectives over small Python objects. Every method but the properties is called by all ranks together."""

    def __init__(self, group: dist.ProcessGroup | None) -> None:
        self.group = group
        self.rank = dist.get_rank(group) if group else 0
        self.size = dist.get_world_size(group) if group else 1

    @classmethod
    def build(cls) -> Self:
        """A new group over all ranks. Sharing the training's own group kills both: gloo pairs are not thread safe."""
        if not dist.is_initialized():
            return cls(None)
        group = dist.new_group(backend="gloo", timeout=TIMEOUT)
        assert isinstance(group, dist.ProcessGroup)  # noqa: S101 - every rank belongs to it
        return cls(group)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in rank order, on every rank."""
        if self.group is None:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.group)
        return values

    def share(self, value: Any) -> Any:
        """Rank 0's value on every rank."""
        return self.gather(value if self.is_first else None)[0]

    def agree(self, error: BaseException | None) -> None:
        """Raise on every rank when any has an error: its own, or else that of the lowest rank that has one."""
        others = self.gather(error and _portable(error))
        if error is not None:
            raise error
        for rank, other in enumerate(others):
            if other is not None:
                raise other from RaisedOnPeer(rank)


def _portable(error: BaseException) -> BaseException:
    """The error, or a stand-in with its text when it cannot be pickled."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever pickling raises, the text is what peers need
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
