"""Simulates a process that dies at a chosen file system call: that call and all later ones fail."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"}


class Died(BaseException):
    """A BaseException that clean-up cannot get around: the disk stays as it was at that call."""


@dataclass
class _Armed:
    below: str
    calls_left: int


_armed: _Armed | None = None
_installed = False


@contextmanager
def dying_at_call(number: int, below: str | Path) -> Iterator[None]:
    """Raise Died at the given call (from 1) on a path that starts with `below`, and at every one after it."""
    global _armed, _installed  # noqa: PLW0603 - an audit hook cannot be removed, so there is one, armed or not
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    _armed = _Armed(str(below), number - 1)
    try:
        yield
    finally:
        _armed = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _armed is None or event not in EVENTS or not str(arguments[0]).startswith(_armed.below):
        return
    if _armed.calls_left == 0:
        raise Died(f"{event} {arguments[0]}")
    _armed.calls_left -= 1
