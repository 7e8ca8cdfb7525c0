"""Puts the operator together, runs it until SIGTERM, and shuts it down in order.

serve      /healthz, /readyz, /metrics
list       every namespace once; ready as soon as one is complete
work       audit of the watches, watches, and the queue; with several replicas the queue waits for the Lease
shut down  queue first, so that running reconciles can finish; then the Lease, audit, watches, listing, HTTP
"""

import asyncio
import contextlib
import logging
import signal
import socket
import uuid
from collections.abc import Callable
from typing import Any, Final

from deepsynth_operator.controller.controller import Controller
from deepsynth_operator.controller.pace import Pace
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.prices import PriceTable
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.training_run.progress import is_mere_progress, is_starting
from deepsynth_operator.kubernetes.api.api_paths import WATCHED_KINDS, WatchedKind
from deepsynth_operator.kubernetes.api.api_server import ApiServer
from deepsynth_operator.kubernetes.event_recorder import EventRecorder
from deepsynth_operator.kubernetes.kubernetes_cluster import KubernetesCluster
from deepsynth_operator.kubernetes.leadership.election import Election
from deepsynth_operator.kubernetes.leadership.lease import TIMEOUTS, ApiLeaseStore
from deepsynth_operator.kubernetes.reports.report_poller import ReportPoller
from deepsynth_operator.kubernetes.reports.report_reader import CONCURRENCY_BY_PROXY, ReportReader
from deepsynth_operator.kubernetes.watches.first_listing import RETRY_SECONDS, FirstListing
from deepsynth_operator.kubernetes.watches.kind_watch import KindWatch
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from deepsynth_operator.kubernetes.watches.watch_audit import WatchAudit
from deepsynth_operator.kubernetes.watches.watch_events import WatchEvents
from deepsynth_operator.process.followed_file import Content, FollowedFile, follow_defaults, follow_prices
from deepsynth_operator.process.health import Health, build_application, serve
from deepsynth_operator.process.metrics import Metrics
from deepsynth_operator.process.settings import ProcessSettings
from deepsynth_operator.process.webhook import Webhook

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_logger = logging.getLogger(__name__)


async def run_operator(settings: Settings, process: ProcessSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises ConfigurationError, LeadershipLost, or the error that ended a part of it."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    metrics = Metrics()
    async with contextlib.AsyncExitStack() as stack:
        election = None
        if process.lease is not None:
            lease_api = await ApiServer.connect(metrics.count_request, timeouts=TIMEOUTS)
            stack.push_async_callback(lease_api.close)
            election = Election(ApiLeaseStore(lease_api, *process.lease), f"{socket.gethostname()}_{uuid.uuid4()}")
            api = await ApiServer.connect(metrics.count_request, guard=election.require)
        else:
            api = await ApiServer.connect(metrics.count_request)
        stack.push_async_callback(api.close)
        if process.reports_through_api_server:
            reports = ReportReader(metrics.count_poll, api.read_report, concurrency=CONCURRENCY_BY_PROXY)
        else:
            reports = ReportReader(metrics.count_poll)
        stack.push_async_callback(reports.close)
        await Operator(api, reports, metrics, settings, process, election=election).run(stop)
    _logger.info("stopped")


class Operator:
    """All parts of one process, wired together. Raises ConfigurationError if the defaults for Jobs cannot be used.

    election: decides when this process works; None if it is the only one.
    pause: waits between tries of the first listing, between audits of the watches, and between looks at the defaults.
    """

    def __init__(
        self,
        api: ApiServer,
        reports: ReportReader,
        metrics: Metrics,
        settings: Settings,
        process: ProcessSettings,
        *,
        election: Election | None = None,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._api, self._metrics, self._process, self._election = api, metrics, process, election
        self._namespaces: tuple[str | None, ...] = process.namespaces or (None,)
        self._cache = ResourceCache()
        self._events = EventRecorder(api, socket.gethostname(), metrics.count_dropped_event)
        self._pace = Pace(settings.poll_seconds)
        self._polls = ReportPoller(reports, self._add, self._pace, is_progress=is_mere_progress, starts=is_starting)
        self._webhook = Webhook(process.webhook_url, process.webhook_token, self._add, is_leading=self._is_leading)
        cluster = KubernetesCluster(
            api, self._cache, self._polls, self._events, metrics.observe_status, deliver=self._webhook.deliver
        )
        self._listing = FirstListing(api, self._cache, self._namespaces, pause)
        self._controller = Controller(cluster, settings, metrics.observe_reconcile, get_stretch=self._pace.get_stretch)
        self._queue = WorkQueue(self._process_listed, metrics.observe_wait, _get_namespace)
        self._watch_events = WatchEvents(self._cache, self._queue, on_start=self._poll)
        self._audit = WatchAudit(api, self._cache, self._namespaces, self._watch_events.note_gone, pause=pause)
        self._defaults = follow_defaults(process.job_defaults, pause) if process.job_defaults else None
        if self._defaults is not None:
            self._controller.use_job_defaults(self._defaults.read())
        self._prices = follow_prices(process.prices, pause) if process.prices else None
        if self._prices is not None:
            self._use_prices(self._prices.read())
        self._health = Health(self._queue, self._audit.get_silence, self._is_leading)
        metrics.watch(self._queue, self._cache, self._audit.get_silence, self._is_leading, self._pace.get_longest)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. Raises the error that ended a part which should run forever."""
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
                await self._work(stopping, listing)
            await _cancel(listed)
            await _cancel(listing)
        finally:
            await _cancel(stopping)
            await runner.cleanup()

    def _use_prices(self, prices: PriceTable) -> None:
        self._controller.use_prices(prices)
        self._metrics.show_currency(prices.currency)

    def _add(self, key: ResourceKey) -> None:
        self._queue.add(key)

    def _poll(self, pod: Manifest) -> None:
        if self._is_leading():
            self._polls.begin(pod)

    async def _process_listed(self, key: ResourceKey) -> float | None:
        """Wait if a watch event came for a namespace whose children are not listed yet."""
        return await self._controller.process(key) if self._listing.covers(key.namespace) else RETRY_SECONDS

    async def _work(self, stopping: asyncio.Task[None], listing: asyncio.Task[None]) -> None:
        queue = asyncio.create_task(self._lead(), name="queue")
        audit = asyncio.create_task(self._audit.run(), name="audit")
        files = [
            asyncio.create_task(_follow(self._defaults, self._controller.use_job_defaults), name="defaults"),
            asyncio.create_task(_follow(self._prices, self._use_prices), name="prices"),
        ]
        watches = [
            asyncio.create_task(
                self._watch(kind, namespace), name=f"watch of {kind} in {namespace or 'all namespaces'}"
            )
            for namespace in self._namespaces
            for kind in WATCHED_KINDS
        ]
        try:
            await _run_until(stopping, listing, queue, audit, *files, *watches)
        finally:
            await self._finish(queue)
            await self._events.flush()
            await self._polls.close()
            await self._webhook.close()
            for task in (audit, *files, *watches):
                await _cancel(task)

    async def _lead(self) -> None:
        """Work on the queue, with several replicas as long as this process holds the Lease. Raises LeadershipLost."""
        if self._election is None:
            await self._queue.run(self._process.workers)
            return
        try:
            await self._election.acquire()
            queue = asyncio.create_task(self._queue.run(self._process.workers))
            holding = asyncio.create_task(self._election.hold())
            try:
                await _run_until(holding, queue)
                if holding.done():
                    holding.result()
            finally:
                await _cancel(queue)
                await _cancel(holding)
        finally:
            await self._events.flush()
            await self._election.release()

    def _is_leading(self) -> bool:
        return self._election is None or self._election.is_leading

    async def _watch(self, kind: WatchedKind, namespace: str | None) -> None:
        await self._listing.wait_for(namespace)
        watch = KindWatch(self._api, self._watch_events, kind, namespace)
        await watch.run(self._listing.get_version(kind, namespace))

    async def _finish(self, queue: asyncio.Task[None]) -> None:
        """Let the running reconciles end. Cancelling one does no harm: the next process continues where it was."""
        if not self._is_leading():
            await _cancel(queue)
            return
        self._queue.stop()
        _, pending = await asyncio.wait({queue}, timeout=self._process.shutdown_seconds)
        if pending:
            _logger.warning("reconciles still running after %d s; cancelling them", self._process.shutdown_seconds)
            await _cancel(queue)


async def _follow(file: FollowedFile[Content] | None, use: Callable[[Content], None]) -> None:
    if file is None:
        await asyncio.Event().wait()
    else:
        await file.follow(use)


def _get_namespace(key: ResourceKey) -> str:
    return key.namespace


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def _run_until(stopping: asyncio.Task[None], *tasks: asyncio.Task[None]) -> None:
    """Wait until `stopping` or one of `tasks` has ended. Raises the error of a task that failed."""
    done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stopping}:
        task.result()


async def _cancel(task: asyncio.Task[object]) -> None:
    """Cancel a task and wait until it has ended. Its own error is not raised here."""
    task.cancel()
    await asyncio.wait({task})
