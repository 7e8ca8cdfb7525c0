"""Finds watches that have gone silent, and deletions that no watch reported.

A watch notices by itself when nothing arrives any more. Should it not, for any reason, this does: it checks the
result. Every few minutes, the audit compares what the API server lists with what the watches reported.

    list metadata ──▶ drop what is gone ──▶ anything newer than the cache? ──▶ wait 30 s ──▶ still? ──▶ silent

If the API server does not answer, the watch does not count as silent: the audit cannot know.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from deepsynth_operator.core.errors import ControllerError
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.kubernetes.api.api_paths import RESOURCES, WATCHED_KINDS, WatchedKind
from deepsynth_operator.kubernetes.api.api_server import ApiServer
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache, get_version

AUDIT_SECONDS: Final = 300.0
GRACE_SECONDS: Final = 30.0
"""How late a watch may be before it counts as silent."""
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """What the API server has of a kind: resourceVersions by uid, and the resourceVersion of the list itself."""

    version: int
    versions: dict[str, int]


class WatchAudit:
    """namespaces: (None,) for the whole cluster. note_gone: called with kind and last state of a deleted object."""

    def __init__(
        self,
        api: ApiServer,
        cache: ResourceCache,
        namespaces: tuple[str | None, ...],
        note_gone: Callable[[WatchedKind, Manifest], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._api, self._cache, self._namespaces, self._note_gone = api, cache, namespaces, note_gone
        self._clock, self._pause = clock, pause
        self._silent_since: dict[tuple[WatchedKind, str | None], float] = {}

    async def run(self) -> None:
        """Audit forever. The first one comes soon, for deletions between the first listing and the first watch."""
        pause = GRACE_SECONDS
        while True:
            await self._pause(pause)
            await self.audit()
            pause = GRACE_SECONDS if self._silent_since else AUDIT_SECONDS

    async def audit(self) -> None:
        """Check every watch once."""
        for kind in WATCHED_KINDS:
            for namespace in self._namespaces:
                await self._audit_watch(kind, namespace)

    def get_silence(self) -> Iterator[tuple[str, float]]:
        """For each kind, its plural and for how many seconds its watch has been silent; the maximum over namespaces."""
        now = self._clock()
        for kind in WATCHED_KINDS:
            silent = [now - since for (of, _), since in self._silent_since.items() if of == kind]
            yield RESOURCES[kind].plural, max(silent, default=0.0)

    async def _audit_watch(self, kind: WatchedKind, namespace: str | None) -> None:
        where = f" of namespace {namespace}" if namespace else ""
        try:
            is_behind = await self._is_behind(kind, namespace)
        except ControllerError as error:
            _logger.warning("cannot compare %s%s with the API server: %s", RESOURCES[kind].plural, where, error)
            return
        if not is_behind:
            self._silent_since.pop((kind, namespace), None)
        elif (kind, namespace) not in self._silent_since:
            self._silent_since[kind, namespace] = self._clock()
            _logger.error("the watch of %s%s is silent", RESOURCES[kind].plural, where)

    async def _is_behind(self, kind: WatchedKind, namespace: str | None) -> bool:
        listing = await self._list(kind, namespace)
        self._drop_vanished(kind, namespace, listing)
        if self._find_unknown(kind, listing) is None:
            return False
        await self._pause(GRACE_SECONDS)
        if self._find_unknown(kind, listing) is None:
            return False
        # Without the `watch` verb no event ever arrives, and restarting does not help, so raise instead of reporting a
        # silent watch.
        await self._api.try_watch(kind, namespace, listing.version)
        return True

    async def _list(self, kind: WatchedKind, namespace: str | None) -> Listing:
        versions: dict[str, int] = {}
        version = 0
        async for page in self._api.list_pages(kind, namespace, accept=METADATA_ONLY):
            version = get_version(page)
            versions |= {item["metadata"]["uid"]: get_version(item) for item in page["items"]}
        return Listing(version, versions)

    def _find_unknown(self, kind: WatchedKind, listing: Listing) -> str | None:
        """The uid of an object whose listed version has not been reported, neither as a change nor as a deletion."""
        for uid, version in listing.versions.items():
            known = self._cache.find(kind, uid)
            if not self._cache.was_deleted(uid, version) and (known is None or get_version(known) < version):
                return uid
        return None

    def _drop_vanished(self, kind: WatchedKind, namespace: str | None, listing: Listing) -> None:
        """Note the deletion of cached objects that are not listed."""
        for item in self._cache.find_unlisted(kind, namespace, listing.versions, listing.version):
            self._note_gone(kind, item)
