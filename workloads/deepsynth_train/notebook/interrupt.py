"""Ctrl-C: the first saves and stops, the second ends at once."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class StopSwitch:
    """The should_stop of an attempt, set by Ctrl-C, SIGTERM or `request`. Use it as a context manager.

    Before the first poll there is nothing to save, so Ctrl-C raises KeyboardInterrupt, as everywhere in Python. In
    other threads than the main one, Python allows no signal handlers; only `request` works there.
    """

    def __init__(self, say: Callable[[str], Any]) -> None:
        self._say = say
        self._requested = False
        self._interrupted = False
        self._polled = False
        self._earlier: dict[int, Any] = {}

    def __call__(self) -> bool:
        self._polled = True
        return self._requested

    def request(self) -> None:
        self._requested = True

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._earlier[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        if isinstance(error, KeyboardInterrupt) and not self._polled:
            # Without the frames of the library that was being loaded.
            raise KeyboardInterrupt("interrupted before the first step, so there was nothing to save") from None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # torchrun sends the signal again to processes that got it from the terminal, and kills them if they do not end.
        is_repeated = self._interrupted and "TORCHELASTIC_RUN_ID" not in os.environ
        if not self._polled or is_repeated:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        if not self._interrupted:
            self._say("stopping after this step, with a checkpoint; press Ctrl-C again to stop at once")
        self._interrupted = self._requested = True
