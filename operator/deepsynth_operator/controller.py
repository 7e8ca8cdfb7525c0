"""Reconciles what the queue hands out, in bounded time, counted, and with the resource's name in each log line."""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Final

from deepsynth_operator.cluster import Cluster
from deepsynth_operator.errors import ClusterError, Conflict, ControllerError, NotPermitted, Refused
from deepsynth_operator.logs import set_resource
from deepsynth_operator.metrics import Metrics, ReconcileResult
from deepsynth_operator.reconcile import reconcile
from deepsynth_operator.references import Key
from deepsynth_operator.settings import Settings

RECONCILE_SECONDS: Final = 120.0
_logger = logging.getLogger(__name__)


class Controller:
    """`process` is what the work queue calls."""

    def __init__(self, cluster: Cluster, settings: Settings, metrics: Metrics) -> None:
        self._cluster, self._settings, self._metrics = cluster, settings, metrics

    async def process(self, key: Key) -> float | None:
        """Bring one resource a step further; seconds until it should be looked at again."""
        # Not reset afterwards: the queue's own line about a failure names the resource too.
        set_resource(key)
        result: ReconcileResult = "defect"
        begin = time.monotonic()
        try:
            async with asyncio.timeout(RECONCILE_SECONDS):
                after = await reconcile(self._cluster, self._settings, *key, now=datetime.now(UTC))
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
            self._metrics.observe_reconcile(key.kind, result, time.monotonic() - begin)
        _logger.debug("reconciled; next look in %s s", after)
        return after
