"""A Clock that only moves when the test says so."""

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)


class ManualClock:
    """Implements deepsynth_simulator.clock.Clock."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._timers: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self._now + timedelta(seconds=seconds), next(self._order), callback))

    def advance(self, seconds: float) -> None:
        """Move forward and call the timers that are due, in order, each at its own time."""
        end = self._now + timedelta(seconds=seconds)
        while self._timers and self._timers[0][0] <= end:
            time, _, callback = heapq.heappop(self._timers)
            self._now = max(self._now, time)
            callback()
        self._now = end
