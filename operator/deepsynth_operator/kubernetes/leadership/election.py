"""Leader election by a Lease, after the rules of client-go.

    candidate   reads every LOOK seconds; takes a Lease that was released, or that did not change for DURATION
    leader      renews every RETRY seconds; its lease counts for DEADLINE seconds from the last renewal that succeeded

     leader     renewed ├──────── DEADLINE ────────┤ writes nothing from here on
     candidate    seen  ├──────────────── DURATION ────────────────┤ takes it

A candidate measures by its own clock since it saw the last change, so clocks that differ do no harm. The leader counts
from before it sent the renewal. So the leader has dropped out before another takes over, also if it was stopped
(SIGSTOP, a suspended machine) and continues later: the clock below continues meanwhile.

What a clock cannot prevent, a request that is sent in time and arrives late, does no harm either: status writes name a
resourceVersion, children have deterministic names, and deletes and patches name a uid.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from deepsynth_operator.core.errors import ControllerError, LeadershipLost
from deepsynth_operator.kubernetes.leadership.lease import LeaseRecord, LeaseStore

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds. A candidate takes over at most `duration` + `look` after the leader's last renewal."""

    duration: float = 11.0
    deadline: float = 8.0
    retry: float = 2.0
    look: float = 1.0


DEFAULT_TIMING: Final = Timing()


def read_clock() -> float:
    """Seconds since boot, including those in which the machine was suspended, where the system counts them."""
    clock: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Election:
    """identity: unique for each process, also for two in the same pod. Call `acquire`, then `hold`, then `release`."""

    def __init__(
        self,
        store: LeaseStore,
        identity: str,
        timing: Timing = DEFAULT_TIMING,
        *,
        clock: Callable[[], float] = read_clock,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._store, self._identity, self._timing, self._clock, self._pause = store, identity, timing, clock, pause
        self._seen: LeaseRecord | None = None
        self._seen_time = 0.0
        """When this process first saw this version of the Lease."""
        self._valid_until = float("-inf")
        self._may_hold = False
        """A write whose answer was lost may have succeeded."""

    @property
    def is_leading(self) -> bool:
        return self._clock() < self._valid_until

    def require(self) -> None:
        """Raise LeadershipLost unless this process leads. Call it right before each request that changes something."""
        if not self.is_leading:
            raise LeadershipLost("another process may lead: the lease was not renewed in time")

    async def acquire(self) -> None:
        """Return as soon as this process leads."""
        trouble = ""
        while True:
            try:
                if await self._try_to_acquire():
                    _logger.info("leading as %s", self._identity)
                    return
                trouble = ""
            except ControllerError as error:
                if str(error) != trouble:
                    _logger.warning("cannot take the lease: %s; retrying", error)
                trouble = str(error)
            await self._pause(self._compute_pause())

    async def hold(self) -> None:
        """Renew the lease until another process has it or the deadline has passed. Always ends with LeadershipLost."""
        while True:
            await self._pause(self._timing.retry)
            self.require()
            try:
                async with asyncio.timeout(self._valid_until - self._clock()):
                    await self._renew()
            except TimeoutError:
                self.require()
            except LeadershipLost:
                self._valid_until = float("-inf")
                raise
            except ControllerError as error:
                _logger.warning("cannot renew the lease: %s; retrying", error)

    async def release(self) -> None:
        """Let a candidate take over at once. Failing to is harmless: the lease expires."""
        self._valid_until = float("-inf")
        if not self._may_hold:
            return
        try:
            async with asyncio.timeout(self._timing.retry):
                found = await self._store.read()
                if found is not None and found.holder == self._identity:
                    await self._store.write(found, "", 1)
        except (ControllerError, TimeoutError) as error:
            _logger.warning("cannot release the lease: %s", str(error) or type(error).__name__)

    async def _try_to_acquire(self) -> bool:
        found = await self._store.read()
        if found is None:
            # After a deletion its holder may still count on it.
            if self._seen is not None and not self._has_expired(self._seen):
                return False
        elif found.holder != self._identity:
            self._observe(found)
            if found.holder and not self._has_expired(found):
                return False
        await self._write(found)
        return True

    async def _renew(self) -> None:
        try:
            await self._write(self._seen)
        except ControllerError:
            # It was taken, changed or deleted, or the write succeeded and its answer was lost.
            found = await self._store.read()
            if found is not None and found.holder not in {"", self._identity}:
                raise LeadershipLost(f"{found.holder} has taken the lease") from None
            await self._write(found)

    async def _write(self, known: LeaseRecord | None) -> None:
        begin = self._clock()
        self._may_hold = True
        written = await self._store.write(known, self._identity, self._timing.duration)
        self._observe(written)
        self._valid_until = begin + self._timing.deadline

    def _observe(self, record: LeaseRecord) -> None:
        if self._seen is None or record.version != self._seen.version:
            if record.holder not in {"", self._identity, self._seen.holder if self._seen else ""}:
                _logger.info("%s leads; waiting", record.holder)
            self._seen, self._seen_time = record, self._clock()

    def _has_expired(self, record: LeaseRecord) -> bool:
        return self._clock() >= self._seen_time + (record.duration or self._timing.duration)

    def _compute_pause(self) -> float:
        """Until the next try, or until the lease expires if that is sooner. Jitter keeps candidates apart."""
        look = self._timing.look * random.uniform(0.8, 1.0)  # noqa: S311 - not for secrets
        if self._seen is None or not self._seen.holder:
            return look
        rest = self._seen_time + (self._seen.duration or self._timing.duration) - self._clock()
        return min(look, rest) if rest > 0 else look
