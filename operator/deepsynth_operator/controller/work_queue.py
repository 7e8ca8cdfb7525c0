"""A work queue with one entry per key, like controller-runtime's, in asyncio.

    add("a") ──▶ waiting ──▶ active: process("a") ──▶ done
                    ▲             │ added meanwhile, failed, or asked to be called again
                    └─────────────┘

An event only says that something about a key changed; the reconcile finds out what. So a key waits at most once, no
matter how often it is added. It is never processed twice at the same time, and it is processed again if it was added
while it was being processed. Which of the waiting keys is next is decided in `waiting_keys`. Time is the event loop's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from deepsynth_api.delays import compute_delay
from deepsynth_operator.controller.waiting_keys import Urgency, WaitingKeys
from deepsynth_operator.core.errors import ControllerError

Key = TypeVar("Key", bound=Hashable)

FIRST_DELAY_SECONDS: Final = 0.5
MAX_DELAY_SECONDS: Final = 300.0

_logger = logging.getLogger(__name__)


class WorkQueue(Generic[Key]):
    """Calls `process` for each key.

    process: brings one key up to date. Returns after how many seconds to call it again, or None; 0 if it is not done
        yet. When it raises, it is called again after a delay that doubles with each consecutive failure of that key.
    on_wait: called with the seconds that a key waited for a worker.
    get_group: groups of keys take turns; by default there is one.
    """

    def __init__(
        self,
        process: Callable[[Key], Awaitable[float | None]],
        on_wait: Callable[[float], None] = lambda _seconds: None,
        get_group: Callable[[Key], Hashable] = lambda _key: None,
    ) -> None:
        self._process, self._on_wait = process, on_wait
        self._workers = 0
        self._ready = asyncio.Semaphore(0)
        """Counts the waiting keys."""
        self._waiting = WaitingKeys(get_group)
        self._finished = float("-inf")
        self._active: set[Key] = set()
        self._again: dict[Key, Urgency] = {}
        self._timers: dict[Key, tuple[asyncio.TimerHandle, Urgency]] = {}
        self._failures: dict[Key, int] = {}
        self._stopping = False

    def add(self, key: Key, urgency: Urgency = Urgency.RUNNING) -> None:
        """Process `key` as soon as possible. Call this from the event loop's thread."""
        urgency = min(urgency, self._cancel_timer(key))
        if key in self._active:
            self._again[key] = min(urgency, self._again.get(key, urgency))
        elif not self._stopping:
            if key not in self._waiting:
                self._ready.release()
            self._waiting.add(key, urgency, asyncio.get_running_loop().time())

    def add_after(self, key: Key, seconds: float, urgency: Urgency = Urgency.RUNNING) -> None:
        """Process `key` in `seconds`, unless it is due sooner anyway."""
        if key in self._waiting or key in self._again or self._stopping:
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if (timer := self._timers.get(key)) is not None:
            due, urgency = min(due, timer[0].when()), min(urgency, timer[1])
            if (due, urgency) == (timer[0].when(), timer[1]):
                return
            timer[0].cancel()
        self._timers[key] = loop.call_at(due, self.add, key, urgency), urgency

    @property
    def depth(self) -> int:
        """Number of keys that wait for a worker. Keys that wait for a delay to pass are not counted."""
        return len(self._waiting)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest key has been waiting for a worker; 0 if none is waiting."""
        return self._get_age(self._waiting.oldest)

    @property
    def stalled_seconds(self) -> float:
        """How long keys have been waiting while no call of `process` returned; 0 if none is waiting."""
        return min(self.oldest_seconds, self._get_age(self._finished))

    async def run(self, workers: int = 16) -> None:
        """Process up to `workers` keys at a time until `stop`. Cancelling this cancels running calls of `process`.

        Keys that were added before have waited for this call, not for a worker.
        """
        self._workers = workers
        self._waiting.reset_times(asyncio.get_running_loop().time())
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    def stop(self) -> None:
        """Start nothing more. `run` returns as soon as the running calls of `process` have returned."""
        self._stopping = True
        for key in list(self._timers):
            self._cancel_timer(key)
        for _ in range(self._workers):
            self._ready.release()

    async def _work(self) -> None:
        while await self._ready.acquire() and not self._stopping:
            key, added = self._waiting.pop()
            self._on_wait(self._get_age(added))
            self._active.add(key)
            await self._run_once(key)
            self._finished = asyncio.get_running_loop().time()
            self._active.discard(key)
            if (urgency := self._again.pop(key, None)) is not None:
                self.add(key, urgency)

    async def _run_once(self, key: Key) -> None:
        try:
            after = await self._process(key)
        except Exception as error:  # noqa: BLE001 - logged; one key's failure must not stop the others
            after = self._count_failure(key, error)
        else:
            self._failures.pop(key, None)
        if after is not None:
            self.add_after(key, after, Urgency.ENDING if after == 0 else Urgency.RUNNING)

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

    def _cancel_timer(self, key: Key) -> Urgency:
        """The urgency that the key would have had."""
        handle, urgency = self._timers.pop(key, (None, max(Urgency)))
        if handle is not None:
            handle.cancel()
        return urgency
