"""Collectives for saving and loading, over a gloo group of their own. Without a process group: one rank."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self, TypeVar

import torch.distributed as dist

T = TypeVar("T")

CHECKPOINT_TIMEOUT = timedelta(hours=1)
"""How long ranks wait for each other: enough to hash and write many gigabytes on a slow volume."""


class RaisedOnPeer(Exception):  # noqa: N818 - only ever a __cause__, never raised
    """Marks, as its `__cause__`, an error that happened on another rank."""

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
        """A new group over all ranks: saving runs in a thread, and gloo groups are not thread safe."""
        if not dist.is_initialized():
            return cls(None)
        group = dist.new_group(backend="gloo", timeout=CHECKPOINT_TIMEOUT)
        assert isinstance(group, dist.ProcessGroup)  # noqa: S101 - every rank is a member
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

    def together(self, action: Callable[[], T], explain: Callable[[BaseException], BaseException] | None = None) -> T:
        """Run `action` on every rank and return this rank's result. An error on any is raised on all.

        explain: what to raise for an error.
        """
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = action()
        except BaseException as error:  # noqa: BLE001 - the other ranks wait for the outcome
            failure = explain(error) if explain else error
        self.agree(failure)
        return result  # type: ignore[return-value]  # None only after an error, which agree has raised

    def agree(self, error: BaseException | None) -> None:
        """Raise on every rank when any rank has an error: the rank's own, else that of the lowest failed rank."""
        others = self.gather(error and _portable(error))
        if error is not None:
            raise error
        for rank, other in enumerate(others):
            if other is not None:
                raise other from RaisedOnPeer(rank)


def _portable(error: BaseException) -> BaseException:
    """The error, or a RuntimeError with its text when it cannot be pickled."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - pickling can raise anything; the text is enough for the peers
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
