"""Fills the cache before anything is decided.

A Job that failed while the operator was away must not be judged before its pods were seen: without them a failure
looks like a deletion.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from deepsynth_operator.api_paths import RESOURCES, WATCHED_KINDS, WatchedKind
from deepsynth_operator.api_server import ApiRefusal, ApiServer
from deepsynth_operator.errors import ControllerError
from deepsynth_operator.resource_cache import ResourceCache

RETRY_SECONDS: Final = 5.0
_logger = logging.getLogger(__name__)


async def list_everything(
    api: ApiServer,
    cache: ResourceCache,
    namespaces: tuple[str | None, ...],
    pause: Callable[[float], Any] = asyncio.sleep,
) -> None:
    """Returns once every watched kind was listed, however long it takes: the CRDs may be installed later."""
    for kind in WATCHED_KINDS:
        for namespace in namespaces:
            while not await _list(api, cache, kind, namespace):
                await pause(RETRY_SECONDS)


async def _list(api: ApiServer, cache: ResourceCache, kind: WatchedKind, namespace: str | None) -> bool:
    try:
        async for page in api.list_pages(kind, namespace):
            for item in page["items"]:
                cache.put(kind, item)
    except ControllerError as error:
        _logger.warning("cannot list %s: %s; trying again", RESOURCES[kind].plural, _explain(kind, error))
        return False
    return True


def _explain(kind: WatchedKind, error: ControllerError) -> str:
    if isinstance(error, ApiRefusal) and error.status == 404:
        resource = RESOURCES[kind]
        return f"the CustomResourceDefinition {resource.plural}.{resource.group} is not installed; apply crds/"
    return str(error)
