"""Where the simulator takes its time from: the event loop, or in tests a clock that the test moves."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Implemented by LoopClock, and by the tests' ManualClock."""

    def now(self) -> datetime:
        """The time, in UTC."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` once, `seconds` from now."""


class LoopClock:
    """Wall time, with timers on the running event loop."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, callback)
