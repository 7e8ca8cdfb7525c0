"""Puts the operator together, runs it until it is told to stop, and takes it apart in order."""

import asyncio
import logging
import signal
import socket
from typing import Final

import kopf

from deepsynth_operator.controller.controller import Controller
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.kubernetes.api_server import ApiServer
from deepsynth_operator.kubernetes.event_recorder import EventRecorder
from deepsynth_operator.kubernetes.first_listing import RETRY_SECONDS, FirstListing
from deepsynth_operator.kubernetes.handlers import build_registry
from deepsynth_operator.kubernetes.kopf_settings import build_kopf_settings
from deepsynth_operator.kubernetes.kubernetes_cluster import KubernetesCluster
from deepsynth_operator.kubernetes.report_reader import CONCURRENCY_BY_PROXY, ReportReader
from deepsynth_operator.kubernetes.resource_cache import ResourceCache
from deepsynth_operator.kubernetes.watch_audit import WatchAudit
from deepsynth_operator.kubernetes.watch_events import WatchEvents
from deepsynth_operator.process.health import Health, build_application, serve
from deepsynth_operator.process.metrics import Metrics
from deepsynth_operator.process.settings import ProcessSettings

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_logger = logging.getLogger(__name__)


async def run_operator(settings: Settings, process: ProcessSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises ConfigurationError, or the defect that ended it."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    metrics = Metrics()
    api = await ApiServer.connect(metrics.count_request)
    if process.reports_through_api_server:
        reports = ReportReader(metrics.count_poll, api.read_report, concurrency=CONCURRENCY_BY_PROXY)
    else:
        reports = ReportReader(metrics.count_poll)
    try:
        await Operator(api, reports, metrics, settings, process).run(stop)
    finally:
        await reports.close()
        await api.close()
    _logger.info("stopped")


class Operator:
    """All parts of one process, and what they are to each other."""

    def __init__(
        self,
        api: ApiServer,
        reports: ReportReader,
        metrics: Metrics,
        settings: Settings,
        process: ProcessSettings,
    ) -> None:
        self._api, self._metrics, self._process = api, metrics, process
        self._namespaces: tuple[str | None, ...] = process.namespaces or (None,)
        self._cache = ResourceCache()
        events = EventRecorder(api, socket.gethostname(), metrics.count_dropped_event)
        cluster = KubernetesCluster(api, self._cache, reports, events, metrics.observe_status)
        self._listing = FirstListing(api, self._cache, self._namespaces)
        self._controller = Controller(cluster, settings, metrics.observe_reconcile)
        self._queue = WorkQueue(self._process_listed, metrics.observe_wait)
        self._watch_events = WatchEvents(self._cache, self._queue)
        self._audit = WatchAudit(api, self._cache, self._namespaces, self._watch_events.note_gone)
        self._health = Health(self._queue, self._audit.get_silence)
        metrics.watch(self._queue, self._cache, self._audit.get_silence)

    async def run(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set and all is done. Raises what ended a part that should go on for ever."""
        # Made before kopf starts: when kopf ends, it cancels every task that is younger than itself.
        stopping = asyncio.create_task(_wait_for(stop))
        application = build_application(self._health, self._metrics)
        runner = await serve(application, self._process.http_host, self._process.http_port)
        try:
            listing = asyncio.create_task(self._listing.run(), name="listing")
            listed = asyncio.create_task(_wait_for(self._listing.some))
            await _run_until(stopping, listing, listed)
            if not stopping.done():
                self._health.is_ready = True
                _logger.info("ready: %s", ", ".join(self._process.namespaces) or "all namespaces")
                await self._work(stop, stopping, listing)
            await _cancel(listed)
            await _cancel(listing)
        finally:
            await _cancel(stopping)
            await runner.cleanup()

    async def _process_listed(self, key: ResourceKey) -> float | None:
        """The watches may tell of a resource whose children were not listed yet."""
        return await self._controller.process(key) if self._listing.covers(key.namespace) else RETRY_SECONDS

    async def _work(self, stop: asyncio.Event, stopping: asyncio.Task[None], listing: asyncio.Task[None]) -> None:
        stop_watching, watching_started = asyncio.Event(), asyncio.Event()
        queue = asyncio.create_task(self._queue.run(self._process.workers), name="queue")
        audit = asyncio.create_task(self._audit.run(), name="audit")
        started = asyncio.create_task(_wait_for(watching_started))
        await asyncio.sleep(0)  # so that the queue's workers are older than kopf
        watching = asyncio.create_task(self._watch(stop_watching, watching_started), name="watching")
        try:
            await _run_until(started, stopping, watching)
            _stop_on_signals(stop)  # kopf has taken the signals; but what is being done has to end before the watches
            await _run_until(stopping, listing, queue, audit, watching)
        finally:
            await self._finish(queue)
            await _cancel(audit)
            await _cancel(started)
            stop_watching.set()
            await asyncio.wait({watching})
        watching.result()

    async def _watch(self, stop: asyncio.Event, started: asyncio.Event) -> None:
        await kopf.operator(
            registry=build_registry(self._api),
            settings=build_kopf_settings(),
            memo=self._watch_events,
            clusterwide=not self._process.namespaces,
            namespaces=self._process.namespaces,
            standalone=True,
            stop_flag=stop,
            ready_flag=started,
        )

    async def _finish(self, queue: asyncio.Task[None]) -> None:
        """Let the reconciles that are under way end. Breaking one off does no harm: the next process goes on."""
        self._queue.stop()
        _, pending = await asyncio.wait({queue}, timeout=self._process.shutdown_seconds)
        if pending:
            _logger.warning("reconciles go on after %d s; breaking them off", self._process.shutdown_seconds)
            await _cancel(queue)


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def _run_until(stopping: asyncio.Task[None], *tasks: asyncio.Task[None]) -> None:
    """Wait until `stopping` or one of `tasks` has ended. Raises what ended that."""
    done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stopping}:
        task.result()


async def _cancel(task: asyncio.Task[object]) -> None:
    """Wait for its end too. What else it may have ended with is not raised here."""
    task.cancel()
    await asyncio.wait({task})
