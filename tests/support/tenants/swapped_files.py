"""What a hostile pod does while a file of its volume is read: between two steps of the reader it exchanges files."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Swap:
    """wait: how many files and folders the reader opens first."""

    do: Callable[[], object]
    wait: int
    is_done: bool = False


_WAITING: list[Swap] = []


def _swap(event: str, _arguments: object) -> None:
    if event != "open" or not _WAITING:
        return
    swap = _WAITING[0]
    swap.wait -= 1
    if swap.wait < 0:
        _WAITING.clear()
        swap.do()
        swap.is_done = True


sys.addaudithook(_swap)  # called before each `open`, by any function; it cannot be removed again


@contextmanager
def swap_before_open(number: int, do: Callable[[], object]) -> Iterator[Swap]:
    """Call `do` just before this process opens its file or folder of this number, counted from 0."""
    swap = Swap(do, number)
    _WAITING.append(swap)
    try:
        yield swap
    finally:
        _WAITING.clear()
