"""Watches one kind in one namespace for as long as the process runs, after the rules of client-go's reflector.

    first listing ──version──▶ watch ──▶ closed, cut or silent ──▶ watch again, from the last version
                                 ▲                │
                                 │                ▼ 410: the API server no longer has that version
                                 └──version── list again, and note what is gone

Every event is noted as it is read, all those of a network packet in one go: a user with many new runs does not delay
what is shown of others. An error never ends a watch; it is tried again, with a pause that grows.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any, Final

from deepsynth_api.delays import compute_delay
from deepsynth_api.kinds import KINDS
from deepsynth_operator.core.errors import ClusterError, ControllerError
from deepsynth_operator.kubernetes.api.api_paths import RESOURCES, WatchedKind
from deepsynth_operator.kubernetes.api.api_server import ApiRefusal, ApiServer, parse_json
from deepsynth_operator.kubernetes.watches.watch_events import WatchEvents

FIRST_DELAY_SECONDS: Final = 0.5
MAX_DELAY_SECONDS: Final = 8.0
_MIN_SECONDS: Final = 10.0
"""A watch without any event that ends sooner than this has failed."""
_MAX_LINE_BYTES: Final = 32 * 2**20
"""Of one event. An object has 1.5 MiB at most in etcd, where Jobs and pods are not JSON: each `<` in a user's Job has
one byte there and six here. A limit that any user can exceed would end the watch again and again, at the same event."""
_EXPIRED: Final = 410
_NOT_FOUND: Final = 404
_logger = logging.getLogger(__name__)


class KindWatch:
    """namespace: None for the whole cluster. pause: waits between two tries."""

    def __init__(
        self,
        api: ApiServer,
        events: WatchEvents,
        kind: WatchedKind,
        namespace: str | None,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._api, self._events, self._kind, self._namespace, self._pause = api, events, kind, namespace, pause
        self._version = ""
        """The last one that was seen; "" if it is too old, so that everything must be listed again."""
        self._has_heard = False
        self._trouble = ""

    async def run(self, version: str) -> None:
        """Watch forever, from the resourceVersion of the list with which the cache was filled."""
        self._version = version
        self._note_listed()
        failures = 0
        while True:
            begin = asyncio.get_running_loop().time()
            self._has_heard = False
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except ControllerError as error:
                self._handle(error)
            lasted = asyncio.get_running_loop().time() - begin
            failures = 0 if self._has_heard or lasted >= _MIN_SECONDS else failures + 1
            if failures:
                delay = compute_delay(failures, first=FIRST_DELAY_SECONDS, longest=MAX_DELAY_SECONDS)
                await self._pause(delay * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrets

    def _note_listed(self) -> None:
        """Queue each resource that the first listing has found. Their children are looked at together with them."""
        if self._kind not in KINDS:
            return
        for item in self._events.cache.iterate(self._kind):
            if self._namespace in {None, item["metadata"]["namespace"]}:
                self._note({"type": None, "object": item})

    async def _list(self) -> None:
        """List everything again. What the cache has and the list has not was deleted meanwhile."""
        uids, version = set[str](), ""
        async for page in self._api.list_pages(self._kind, self._namespace):
            version = page["metadata"]["resourceVersion"]
            for item in page["items"]:
                uids.add(item["metadata"]["uid"])
                self._note({"type": None, "object": item})
        for item in self._events.cache.find_unlisted(self._kind, self._namespace, uids, int(version)):
            self._events.note_gone(self._kind, item)
        self._version = version

    async def _watch(self) -> None:
        lines = _Lines()
        async with aclosing(self._api.watch(self._kind, self._namespace, self._version)) as chunks:
            async for chunk in chunks:
                for line in lines.add(chunk):
                    self._take(line)

    def _take(self, line: bytes) -> None:
        """One event of the API server."""
        try:
            event = parse_json(line)
            kind, item = event["type"], event["object"]
        except (ValueError, KeyError, TypeError) as error:
            raise ClusterError(f"an event must be JSON with type and object, got {line[:40]!r}") from error
        if kind == "ERROR":
            raise ApiRefusal(item.get("code", 0), str(item.get("reason", "")), str(item.get("message", "")))
        if kind in {"ADDED", "MODIFIED", "DELETED"}:
            self._note(event)
        self._version = item.get("metadata", {}).get("resourceVersion", self._version)
        self._has_heard, self._trouble = True, ""

    def _note(self, event: dict[str, Any]) -> None:
        """What cannot be noted is skipped: no object may end the process, again and again."""
        try:
            self._events.note(self._kind, event)
        except Exception:
            metadata = event["object"].get("metadata", {})
            where = f"{metadata.get('namespace')}/{metadata.get('name')}"
            _logger.exception("an event of %s %s could not be noted", self._kind, where)

    def _handle(self, error: ControllerError) -> None:
        """Log it once, and see whether to list again."""
        if isinstance(error, ApiRefusal) and error.status in {_EXPIRED, _NOT_FOUND}:
            self._version = ""
        if isinstance(error, ApiRefusal) and error.status == _EXPIRED:
            _logger.debug("listing %s again: %s", RESOURCES[self._kind].plural, error)
            return
        level = logging.DEBUG if self._trouble == str(error) else logging.WARNING
        where = f" of namespace {self._namespace}" if self._namespace else ""
        _logger.log(level, "cannot watch %s%s: %s; retrying", RESOURCES[self._kind].plural, where, error)
        self._trouble = str(error)


class _Lines:
    """Puts lines together again that arrive in pieces."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def add(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that are complete with this chunk."""
        end = len(self._rest) + chunk.rfind(b"\n")
        is_complete = b"\n" in chunk  # only the new bytes: a long line arrives in hundreds of pieces
        self._rest += chunk
        if not is_complete and len(self._rest) > _MAX_LINE_BYTES:
            raise ClusterError(f"an event has more than {_MAX_LINE_BYTES} bytes")
        if is_complete:
            complete, self._rest = bytes(self._rest[:end]), self._rest[end + 1 :]
            yield from filter(None, complete.split(b"\n"))
