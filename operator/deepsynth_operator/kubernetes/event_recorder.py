"""Events, as `kubectl describe` shows them. They may get lost, and they are rate limited per resource."""

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
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
_MAX_REMEMBERED: Final = 4096
_MAX_MESSAGE_CHARACTERS: Final = 1024
_MAX_NAME_CHARACTERS: Final = 220
_logger = logging.getLogger(__name__)


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
    """instance: name of this process, such as its pod. count_dropped: called for each Event over the limit."""

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

    async def record(self, resource: Resource, kind: EventType, reason: str, message: str) -> bool:
        """Record an Event, without retries: nothing depends on it. Returns False if the resource is over its limit."""
        if not self._spend(resource.metadata.uid):
            self._count_dropped()
            return False
        try:
            await self._send(resource, kind, reason, message[:_MAX_MESSAGE_CHARACTERS])
        except ControllerError as error:
            _logger.debug("event %s lost: %s", reason, error)
        return True

    async def _send(self, resource: Resource, kind: EventType, reason: str, message: str) -> None:
        key, now = _digest(resource.metadata.uid, kind, reason, message), self._clock()
        recorded = self._recorded.get(key)
        if recorded is not None and now < recorded.time + REPEAT_SECONDS:
            try:
                await self._repeat(resource, recorded)
            except ApiRefusal:  # the Event is gone: they are deleted after an hour, or by a user
                del self._recorded[key]
            else:
                return
        name = _build_name(resource, key)
        await self._api.request(
            "create",
            "Event",
            resource.metadata.namespace,
            body=build_event(resource, name, kind, reason, message, instance=self._instance, now=datetime.now(UTC)),
            retries=0,
        )
        _remember(self._recorded, key, _Recorded(name, now))

    async def _repeat(self, resource: Resource, recorded: _Recorded) -> None:
        change = {"count": recorded.count + 1, "lastTimestamp": _format(datetime.now(UTC))}
        await self._api.request(
            "patch",
            "Event",
            resource.metadata.namespace,
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


def build_event(
    resource: Resource, name: str, kind: EventType, reason: str, message: str, *, instance: str, now: datetime
) -> dict[str, Any]:
    metadata = resource.metadata
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": metadata.namespace},
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": _format(now),
        "lastTimestamp": _format(now),
        "source": {"component": OPERATOR_NAME},
        "reportingComponent": OPERATOR_NAME,
        "reportingInstance": instance,
    }


def _build_name(resource: Resource, key: str) -> str:
    """Unique, so that it never clashes with an Event of an earlier process."""
    digest = _digest(key, str(time.time_ns()))[:16]
    return f"{resource.metadata.name[:_MAX_NAME_CHARACTERS].rstrip('.-')}.{digest}"


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
