"""Fills the cache before anything is decided.

A Job that failed while the operator was away must not be judged before its pods were seen: without them a failure
looks like a deletion. A namespace that cannot be read, because its Role is gone, does not hold up the others.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from deepsynth_operator.core.errors import ControllerError
from deepsynth_operator.kubernetes.api_paths import RESOURCES, WATCHED_KINDS, WatchedKind
from deepsynth_operator.kubernetes.api_server import ApiRefusal, ApiServer
from deepsynth_operator.kubernetes.resource_cache import ResourceCache

RETRY_SECONDS: Final = 5.0
LATER_RETRY_SECONDS: Final = 60.0
"""Once there is work in other namespaces: a Role that is missing may stay so."""
_logger = logging.getLogger(__name__)


class FirstListing:
    """namespaces: (None,) for the whole cluster. `some` is set when at least one of them was listed."""

    def __init__(
        self,
        api: ApiServer,
        cache: ResourceCache,
        namespaces: tuple[str | None, ...],
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._api, self._cache, self._pause = api, cache, pause
        self._missing = list(namespaces)
        self.some = asyncio.Event()

    async def run(self) -> None:
        """List for ever what is missing: the CRDs and the rights may come later."""
        while True:
            await self.list_missing()
            await self._pause(LATER_RETRY_SECONDS if self.some.is_set() else RETRY_SECONDS)

    async def list_missing(self) -> None:
        """Try every namespace once that was not listed yet."""
        tried = {namespace: await self._list_all(namespace) for namespace in self._missing}
        self._missing = [namespace for namespace, was_listed in tried.items() if not was_listed]
        if any(tried.values()):
            self.some.set()

    def covers(self, namespace: str) -> bool:
        """Whether all that there is in this namespace is known, so that it can be decided upon."""
        return namespace not in self._missing and None not in self._missing

    async def _list_all(self, namespace: str | None) -> bool:
        for kind in WATCHED_KINDS:
            try:
                async for page in self._api.list_pages(kind, namespace):
                    for item in page["items"]:
                        self._cache.put(kind, item)
            except ControllerError as error:
                where = f" of namespace {namespace}" if namespace else ""
                _logger.warning(
                    "cannot list %s%s: %s; trying again", RESOURCES[kind].plural, where, _explain(kind, error)
                )
                return False
        return True


def _explain(kind: WatchedKind, error: ControllerError) -> str:
    if isinstance(error, ApiRefusal) and error.status == 404:
        resource = RESOURCES[kind]
        return f"the CustomResourceDefinition {resource.plural}.{resource.group} is not installed; apply crds/"
    return str(error)
