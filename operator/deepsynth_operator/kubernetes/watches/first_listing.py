"""Fills the cache before anything is decided, and before the watches begin.

If a Job failed while the operator was down, its outcome must not be decided before its pods are in the cache: without
them a failure looks like a deletion. A namespace that cannot be listed, for example without a Role, does not delay the
others.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from deepsynth_operator.core.errors import ControllerError
from deepsynth_operator.kubernetes.api.api_paths import RESOURCES, WATCHED_KINDS, WatchedKind
from deepsynth_operator.kubernetes.api.api_server import ApiRefusal, ApiServer
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache

RETRY_SECONDS: Final = 5.0
LATER_RETRY_SECONDS: Final = 60.0
"""Once other namespaces are listed: a missing Role may stay missing."""
_logger = logging.getLogger(__name__)


class FirstListing:
    """namespaces: (None,) for the whole cluster. `some` is set once at least one of them is listed."""

    def __init__(
        self,
        api: ApiServer,
        cache: ResourceCache,
        namespaces: tuple[str | None, ...],
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._api, self._cache, self._pause = api, cache, pause
        self._missing = list(namespaces)
        self._versions: dict[tuple[WatchedKind, str | None], str] = {}
        self._listed = {namespace: asyncio.Event() for namespace in namespaces}
        self.some = asyncio.Event()

    async def run(self) -> None:
        """Retry forever what is not listed yet: CRDs and rights may be installed later."""
        while True:
            await self.list_missing()
            await self._pause(LATER_RETRY_SECONDS if self.some.is_set() else RETRY_SECONDS)

    async def list_missing(self) -> None:
        """Try once to list each namespace that is not listed yet."""
        tried = {namespace: await self._list_all(namespace) for namespace in self._missing}
        self._missing = [namespace for namespace, was_listed in tried.items() if not was_listed]
        for namespace in tried.keys() - set(self._missing):
            self._listed[namespace].set()
        if any(tried.values()):
            self.some.set()

    async def wait_for(self, namespace: str | None) -> None:
        """Return once this namespace is listed."""
        await self._listed[namespace].wait()

    def get_version(self, kind: WatchedKind, namespace: str | None) -> str:
        """The resourceVersion of the list of a kind, in a namespace that is listed."""
        return self._versions[kind, namespace]

    def covers(self, namespace: str) -> bool:
        """Whether this namespace is listed, so that its resources may be reconciled."""
        return namespace not in self._missing and None not in self._missing

    async def _list_all(self, namespace: str | None) -> bool:
        for kind in WATCHED_KINDS:
            try:
                await self._list(kind, namespace)
            except ControllerError as error:
                where = f" of namespace {namespace}" if namespace else ""
                _logger.warning("cannot list %s%s: %s; retrying", RESOURCES[kind].plural, where, _explain(kind, error))
                return False
        return True

    async def _list(self, kind: WatchedKind, namespace: str | None) -> None:
        uids, version = set[str](), ""
        async for page in self._api.list_pages(kind, namespace):
            version = page["metadata"]["resourceVersion"]
            for item in page["items"]:
                uids.add(item["metadata"]["uid"])
                self._cache.put(kind, item)
        for item in self._cache.find_unlisted(kind, namespace, uids, int(version)):
            self._cache.remove(kind, item)  # of an earlier try
        self._versions[kind, namespace] = version


def _explain(kind: WatchedKind, error: ControllerError) -> str:
    if isinstance(error, ApiRefusal) and error.status == 404:
        resource = RESOURCES[kind]
        return f"the CustomResourceDefinition {resource.plural}.{resource.group} is not installed; apply crds/"
    return str(error)
