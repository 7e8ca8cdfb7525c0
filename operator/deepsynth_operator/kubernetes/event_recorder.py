"""Events, as `kubectl describe` shows them. They may get lost, and they are rate limited per resource.

They are sent in the background, one after the other: no worker waits for them, and they take one of the connections to
the API server, however many resources start at once.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from deepsynth_api.labels import OPERATOR_NAME
from deepsynth_api.v1alpha1 import Resource
from deepsynth_operator.core.cluster import EventType
from deepsynth_operator.core.errors import ControllerError
from deepsynth_operator.kubernetes.api.api_server import ApiRefusal, ApiServer

REPEAT_SECONDS: Final = 600.0
"""An Event that repeats within this time raises the count of the first one."""
BURST: Final = 25
"""How many Events a resource may have at once; after that one more every REFILL_SECONDS."""
REFILL_SECONDS: Final = 60.0
FLUSH_SECONDS: Final = 2.0
MAX_WAITING: Final = 2000
"""Of those that are not sent yet. What is more is lost."""
_MAX_REMEMBERED: Final = 4096
_MAX_MESSAGE_CHARACTERS: Final = 1024
_MAX_NAME_CHARACTERS: Final = 220
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Event:
    """What is to be sent. involved: the resource, as the Event names it."""

    involved: Mapping[str, str]
    kind: EventType
    reason: str
    message: str
    time: datetime

    @property
    def key(self) -> str:
        return _digest(self.involved["uid"], self.kind, self.reason, self.message)


@dataclass(slots=True)
class _Recorded:
    """An Event that exists: its object name, when it was created, and its count."""

    name: str
    time: float
    count: int = 1


@dataclass(slots=True)
class _Budget:
    """How many Events a resource may still record, as of `time`."""

    left: float
    time: float


class EventRecorder:
    """instance: name of this process, such as its pod. count_dropped: called for each Event over a limit."""

    def __init__(
        self,
        api: ApiServer,
        instance: str,
        count_dropped: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._instance, self._count_dropped, self._clock = api, instance, count_dropped, clock
        self._recorded: OrderedDict[str, _Recorded] = OrderedDict()
        """By digest: a message may have 4 KB, and thousands are remembered."""
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()
        self._waiting: deque[_Event] = deque()
        self._sending: asyncio.Task[None] | None = None

    def record(self, resource: Resource, kind: EventType, reason: str, message: str) -> bool:
        """Send an Event soon, without retries: nothing depends on it. Returns False if it is over a limit."""
        if len(self._waiting) >= MAX_WAITING or not self._spend(resource.metadata.uid):
            self._count_dropped()
            return False
        text = message[:_MAX_MESSAGE_CHARACTERS]
        self._waiting.append(_Event(_name_involved(resource), kind, reason, text, datetime.now(UTC)))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all(), name="events")
        return True

    async def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all Events are sent, for some seconds at most; the rest is lost."""
        if self._sending is not None:
            await asyncio.wait({self._sending}, timeout=seconds)
            self._sending.cancel()
            await asyncio.wait({self._sending})

    async def _send_all(self) -> None:
        while self._waiting:
            event = self._waiting.popleft()
            try:
                await self._send(event)
            except ControllerError as error:
                _logger.debug("event %s lost: %s", event.reason, error)

    async def _send(self, event: _Event) -> None:
        key, now = event.key, self._clock()
        recorded = self._recorded.get(key)
        if recorded is not None and now < recorded.time + REPEAT_SECONDS:
            try:
                await self._repeat(event, recorded)
            except ApiRefusal:  # the Event is gone: they are deleted after an hour, or by a user
                del self._recorded[key]
            else:
                return
        name = _build_name(event.involved["name"], key)
        body = _build_event(event, name, self._instance)
        await self._api.request("create", "Event", event.involved["namespace"], body=body, retries=0)
        _remember(self._recorded, key, _Recorded(name, now))

    async def _repeat(self, event: _Event, recorded: _Recorded) -> None:
        change = {"count": recorded.count + 1, "lastTimestamp": _format(event.time)}
        await self._api.request(
            "patch",
            "Event",
            event.involved["namespace"],
            recorded.name,
            body=change,
            content_type="application/merge-patch+json",
            retries=0,
        )
        recorded.count += 1

    def _spend(self, uid: str) -> bool:
        now = self._clock()
        budget = self._budgets.get(uid) or _Budget(BURST, now)
        budget.left = min(BURST, budget.left + (now - budget.time) / REFILL_SECONDS)
        budget.time = now
        _remember(self._budgets, uid, budget)
        if budget.left < 1:
            return False
        budget.left -= 1
        return True


def _name_involved(resource: Resource) -> dict[str, str]:
    metadata = resource.metadata
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "namespace": metadata.namespace,
        "name": metadata.name,
        "uid": metadata.uid,
        "resourceVersion": metadata.resource_version,
    }


def _build_event(event: _Event, name: str, instance: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": event.involved["namespace"]},
        "involvedObject": event.involved,
        "type": event.kind,
        "reason": event.reason,
        "message": event.message,
        "count": 1,
        "firstTimestamp": _format(event.time),
        "lastTimestamp": _format(event.time),
        "source": {"component": OPERATOR_NAME},
        "reportingComponent": OPERATOR_NAME,
        "reportingInstance": instance,
    }


def _build_name(involved: str, key: str) -> str:
    """Unique, so that it never clashes with an Event of an earlier process."""
    digest = _digest(key, str(time.time_ns()))[:16]
    return f"{involved[:_MAX_NAME_CHARACTERS].rstrip('.-')}.{digest}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()


def _format(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def _remember(memory: OrderedDict[Any, Any], key: object, value: object) -> None:
    """Add `value` as the newest entry, and drop the oldest if there are too many."""
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > _MAX_REMEMBERED:
        memory.popitem(last=False)
