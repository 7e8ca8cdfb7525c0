"""Reconciles what the queue hands out, in bounded time, counted, and with the resource's name in each log line."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

from deepsynth_operator.controller.reconcile import reconcile
from deepsynth_operator.core.cluster import Cluster, ResourceKind
from deepsynth_operator.core.errors import ClusterError, Conflict, ControllerError, NotPermitted, Refused
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings

RECONCILE_SECONDS: Final = 120.0
ReconcileResult = Literal["done", "conflict", "unreachable", "refused", "unreadable", "timeout", "defect"]
"""How a reconcile ended, as the metric `deepsynth_reconciles_total` labels it."""

current_resource: ContextVar[ResourceKey | None] = ContextVar("current_resource", default=None)
"""The resource that the running task reconciles; log lines name it."""

_logger = logging.getLogger(__name__)


class Reconcile(Protocol):
    def __call__(
        self, cluster: Cluster, settings: Settings, kind: ResourceKind, namespace: str, name: str, /, *, now: datetime
    ) -> Awaitable[float | None]: ...


class Controller:
    """`process` is what the work queue calls.

    observe: called after each reconcile with the kind, how it ended, and its seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        observe: Callable[[ResourceKind, ReconcileResult, float], None],
        reconcile: Reconcile = reconcile,
    ) -> None:
        self._cluster, self._settings, self._observe, self._reconcile = cluster, settings, observe, reconcile

    async def process(self, key: ResourceKey) -> float | None:
        """Bring one resource a step further; seconds until it should be looked at again."""
        # Not reset afterwards: the queue's own line about a failure names the resource too.
        current_resource.set(key)
        result: ReconcileResult = "defect"
        begin = time.monotonic()
        try:
            async with asyncio.timeout(RECONCILE_SECONDS):
                after = await self._reconcile(self._cluster, self._settings, *key, now=datetime.now(UTC))
            result = "done"
        except TimeoutError:
            result = "timeout"
            raise ClusterError(f"not done within {RECONCILE_SECONDS:.0f} s") from None
        except Conflict:
            result = "conflict"
            raise
        except ClusterError as error:
            result = "refused" if isinstance(error, Refused | NotPermitted) else "unreachable"
            raise
        except ControllerError:
            result = "unreadable"
            raise
        finally:
            self._observe(key.kind, result, time.monotonic() - begin)
        _logger.debug("reconciled; next look in %s s", after)
        return after
