"""What the work queue calls for each key: a reconcile with a time limit, a count of its result, and log context."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

from deepsynth_api.kinds import ResourceKind
from deepsynth_operator.controller.reconcile import reconcile
from deepsynth_operator.core.cluster import Cluster
from deepsynth_operator.core.errors import ClusterError, Conflict, ControllerError, NotPermitted, Refused
from deepsynth_operator.core.job_defaults import JobDefault
from deepsynth_operator.core.prices import PriceTable
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings

RECONCILE_SECONDS: Final = 120.0
ReconcileResult = Literal["done", "conflict", "unreachable", "refused", "unreadable", "timeout", "defect"]
"""How a reconcile ended: the label `result` of deepsynth_reconciles_total.

    done         -> decided, written and acted
    conflict     -> the resource kept changing
    unreachable  -> the API server did not answer
    refused      -> the API server answered 403 or 422
    unreadable   -> the resource does not fit the types of this version
    timeout      -> it took longer than RECONCILE_SECONDS
    defect       -> any other exception
"""

current_resource: ContextVar[ResourceKey | None] = ContextVar("current_resource", default=None)
"""The resource that the current task reconciles, so that every log line can name it."""

_logger = logging.getLogger(__name__)


class Reconcile(Protocol):
    def __call__(
        self, cluster: Cluster, settings: Settings, kind: ResourceKind, namespace: str, name: str, /, *, now: datetime
    ) -> Awaitable[float | None]: ...


class Controller:
    """observe: called after each reconcile with the kind, the result and the seconds that it took.

    get_stretch: how many times as long as usual the progress of a namespace's resources waits.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        observe: Callable[[ResourceKind, ReconcileResult, float], None],
        reconcile: Reconcile = reconcile,
        get_stretch: Callable[[str], float] = lambda _namespace: 1.0,
    ) -> None:
        self._cluster, self._settings, self._observe, self._reconcile = cluster, settings, observe, reconcile
        self._get_stretch = get_stretch

    def use_job_defaults(self, defaults: tuple[JobDefault, ...]) -> None:
        """From now on, Jobs are created with these defaults."""
        self._settings = replace(self._settings, job_defaults=defaults)

    def use_prices(self, prices: PriceTable) -> None:
        """From now on, Jobs start at these prices."""
        self._settings = replace(self._settings, prices=prices)

    async def process(self, key: ResourceKey) -> float | None:
        """Reconcile one resource. Returns after how many seconds to do it again; None means when an event comes."""
        # Not reset afterwards, so that the queue's log line about a failure names the resource too.
        current_resource.set(key)
        result: ReconcileResult = "defect"
        begin = time.monotonic()
        settings = replace(self._settings, progress_stretch=self._get_stretch(key.namespace))
        try:
            async with asyncio.timeout(RECONCILE_SECONDS):
                after = await self._reconcile(self._cluster, settings, *key, now=datetime.now(UTC))
            result = "done"
        except TimeoutError:
            result = "timeout"
            raise ClusterError(f"reconcile took longer than {RECONCILE_SECONDS:.0f} s") from None
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
        _logger.debug("reconciled; next reconcile in %s s", after)
        return after
