"""Batches of limited size, so that the memory for them is limited too."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def cut_batches(
    items: Iterable[Item], measure: Callable[[Item], int], *, max_items: int, max_size: int
) -> Iterator[list[Item]]:
    """The items in order. A batch ends with the item that makes it max_items long or max_size large."""
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += measure(item)
        if len(batch) == max_items or size >= max_size:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
