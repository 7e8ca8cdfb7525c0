"""A work queue with one entry per key, like controller-runtime's, in asyncio.

    add("a") ──▶ waiting ──▶ active: process("a") ──▶ done
                    ▲             │ added meanwhile, failed, or asked to be called again
                    └─────────────┘

An event only says that something about a key changed; the reconcile finds out what. So a key waits at most once, no
matter how often it is added. It is never processed twice at the same time, and it is processed again if it was added
while it was being processed. Time is the event loop's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from deepsynth_api.delays import compute_delay
from deepsynth_operator.core.errors import ControllerError

Key = TypeVar("Key", bound=Hashable)

FIRST_DELAY_SECONDS: Final = 0.5
MAX_DELAY_SECONDS: Final = 300.0

_logger = logging.getLogger(__name__)


class WorkQueue(Generic[Key]):
    """Calls `process` for each key.

    process: brings one key up to date. Returns after how many seconds to call it again, or None. When it raises, it is
        called again after a delay that doubles with each consecutive failure of that key.
    on_wait: called with the seconds that a key waited for a worker.
    """

    def __init__(
        self,
        process: Callable[[Key], Awaitable[float | None]],
        on_wait: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._process, self._on_wait = process, on_wait
        self._workers = 0
        self._ready: asyncio.Queue[Key | None] = asyncio.Queue()
        self._waiting: dict[Key, float] = {}
        """The time at which each waiting key was added, oldest first."""
        self._finished = float("-inf")
        self._active: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._stopping = False

    def add(self, key: Key) -> None:
        """Process `key` as soon as possible. Call this from the event loop's thread."""
        self._cancel_timer(key)
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting and not self._stopping:
            self._waiting[key] = asyncio.get_running_loop().time()
            self._ready.put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Process `key` in `seconds`, unless it is due sooner anyway."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        is_sooner = timer is not None and timer.when() <= loop.time() + seconds
        if is_sooner or key in self._waiting or key in self._again or self._stopping:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_later(seconds, self.add, key)

    @property
    def depth(self) -> int:
        """Number of keys that wait for a worker. Keys that wait for a delay to pass are not counted."""
        return len(self._waiting)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest key has been waiting for a worker; 0 if none is waiting."""
        return self._get_age(next(iter(self._waiting.values()), None))

    @property
    def stalled_seconds(self) -> float:
        """How long keys have been waiting while no call of `process` returned; 0 if none is waiting."""
        return min(self.oldest_seconds, self._get_age(self._finished))

    async def run(self, workers: int = 16) -> None:
        """Process up to `workers` keys at a time until `stop`. Cancelling this cancels running calls of `process`.

        Keys that were added before have waited for this call, not for a worker.
        """
        self._workers = workers
        self._waiting = dict.fromkeys(self._waiting, asyncio.get_running_loop().time())
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    def stop(self) -> None:
        """Start nothing more. `run` returns as soon as the running calls of `process` have returned."""
        self._stopping = True
        for key in list(self._timers):
            self._cancel_timer(key)
        for _ in range(self._workers):
            self._ready.put_nowait(None)

    async def _work(self) -> None:
        while (key := await self._ready.get()) is not None and not self._stopping:
            self._on_wait(self._get_age(self._waiting.pop(key)))
            self._active.add(key)
            await self._run_once(key)
            self._finished = asyncio.get_running_loop().time()
            self._active.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    async def _run_once(self, key: Key) -> None:
        try:
            after = await self._process(key)
        except Exception as error:  # noqa: BLE001 - logged; one key's failure must not stop the others
            after = self._count_failure(key, error)
        else:
            self._failures.pop(key, None)
        if after is not None:
            self.add_after(key, after)

    def _count_failure(self, key: Key, error: Exception) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = compute_delay(failures, first=FIRST_DELAY_SECONDS, longest=MAX_DELAY_SECONDS)
        # A ControllerError explains itself; anything else is a defect and needs its traceback.
        trace = None if isinstance(error, ControllerError) else error
        _logger.warning("%s: %s; retrying in %.1f s", key, error or type(error).__name__, delay, exc_info=trace)
        return delay

    @staticmethod
    def _get_age(since: float | None) -> float:
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    def _cancel_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
