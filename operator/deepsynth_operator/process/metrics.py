"""Prometheus metrics of the operator. No label names a resource, so the number of series does not grow with use."""

import itertools
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from deepsynth_api.kinds import KINDS, ResourceKind
from deepsynth_api.v1alpha1 import (
    DatasetGeneration,
    DatasetGenerationStatus,
    Resource,
    TrainingRun,
    TrainingRunStatus,
)
from deepsynth_api.v1alpha1.shared.usage import Cost, parse_amount
from deepsynth_api.v1alpha1.training_run_status import AttemptOutcome
from deepsynth_operator.controller.controller import ReconcileResult
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.observed import Manifest, parse_time
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.reports.report_reader import PollResult
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Counters and histograms, updated as things happen. `watch` adds the gauges of ObservedState."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # otherwise every counter has a second series, _created
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"deepsynth_{name}", text, labels, registry=self._registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"deepsynth_{name}", text, labels, buckets=_SECONDS, registry=self._registry)

        self._queue_wait = histogram("queue_wait_seconds", "Seconds that resources waited for a worker.")
        self._reconciles = counter(
            "reconciles",
            "Reconciles by result: done, conflict (the resource still changed at the third try), unreachable, refused "
            "(a permission is missing), unreadable (written by another version), timeout, defect (a bug). All but done "
            "are tried again, after 0.5 s and then longer.",
            "kind",
            "result",
        )
        self._reconcile_seconds = histogram("reconcile_seconds", "Seconds that a reconcile took.", "kind")
        self._attempts = counter(
            "attempts",
            "Ended attempts of TrainingRuns by outcome: Succeeded, Failed, Hung, Disrupted, Suspended.",
            "outcome",
        )
        self._gpu_seconds = counter(
            "gpu_seconds",
            "GPU-seconds held by ended attempts: useful, or lost because no checkpoint kept the work.",
            "result",
        )
        self._cost = counter(
            "cost", "Cost of ended attempts and Jobs by the price table: useful or lost.", "kind", "currency", "result"
        )
        self._requests = counter(
            "api_requests",
            "Requests to the API server, each try counted, by HTTP code; unreachable if there was no answer.",
            "verb",
            "resource",
            "code",
        )
        self._polls = counter(
            "report_polls",
            "Reads of pod reports by result: read, unreachable, silent (no answer in 2 s), refused, invalid.",
            "result",
        )
        self._dropped_events = counter(
            "events_dropped", "Events that were not written because of the limit per resource."
        )
        self._show_zeros()

    def _show_zeros(self) -> None:
        """Start every series at 0: Prometheus cannot see an increase in a series that starts at 1."""
        for result in ("useful", "lost"):
            self._gpu_seconds.labels(result)
        for outcome in get_args(AttemptOutcome):
            self._attempts.labels(outcome)
        for kind, result in itertools.product(KINDS, get_args(ReconcileResult)):
            self._reconciles.labels(kind, result)
        for result in get_args(PollResult):
            self._polls.labels(result)

    def show_currency(self, currency: str | None) -> None:
        """Start the series of costs in this currency."""
        for kind, result in itertools.product(KINDS, ("useful", "lost")) if currency else ():
            self._cost.labels(kind, currency, result)

    def observe_wait(self, seconds: float) -> None:
        self._queue_wait.observe(seconds)

    def observe_reconcile(self, kind: ResourceKind, result: ReconcileResult, seconds: float) -> None:
        self._reconciles.labels(kind, result).inc()
        self._reconcile_seconds.labels(kind).observe(seconds)

    def count_request(self, verb: str, resource: str, code: str) -> None:
        self._requests.labels(verb, resource, code).inc()

    def count_poll(self, result: PollResult) -> None:
        self._polls.labels(result).inc()

    def count_dropped_event(self) -> None:
        self._dropped_events.inc()

    def observe_status(self, resource: Resource, status: object) -> None:
        """Count the attempts and Jobs that end with this write of the status: their GPU time and their cost."""
        if isinstance(resource, TrainingRun) and isinstance(status, TrainingRunStatus):
            ended = {attempt.number for attempt in resource.status.attempts if attempt.end_time is not None}
            for attempt in status.attempts:
                if attempt.end_time is not None and attempt.number not in ended:
                    self._attempts.labels(attempt.outcome or "").inc()
                    self._gpu_seconds.labels("lost").inc(attempt.lost_gpu_seconds)
                    self._gpu_seconds.labels("useful").inc(max(attempt.gpu_seconds - attempt.lost_gpu_seconds, 0))
                    self._count_cost("TrainingRun", attempt.cost)
        elif isinstance(resource, DatasetGeneration) and isinstance(status, DatasetGenerationStatus):
            over = {job.name for job in resource.status.jobs if job.end_time is not None}
            for job in status.jobs:
                if job.end_time is not None and job.name not in over:
                    self._count_cost("DatasetGeneration", job.cost)

    def _count_cost(self, kind: ResourceKind, cost: Cost | None) -> None:
        if cost is not None:
            amount, lost = float(parse_amount(cost.amount)), float(parse_amount(cost.lost))
            self._cost.labels(kind, cost.currency, "lost").inc(lost)
            self._cost.labels(kind, cost.currency, "useful").inc(max(amount - lost, 0))

    def watch(
        self,
        queue: WorkQueue[ResourceKey],
        cache: ResourceCache,
        get_silence: Callable[[], Iterable[tuple[str, float]]],
        is_leading: Callable[[], bool] = lambda: True,
        get_progress_seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Add gauges of the queue, the resources and the watches. get_silence: see Health; the last one: see Pace."""
        self._registry.register(ObservedState(queue, cache, get_silence, is_leading, get_progress_seconds))

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)


class ObservedState(Collector):
    """Gauges that are computed when Prometheus scrapes them."""

    def __init__(
        self,
        queue: WorkQueue[ResourceKey],
        cache: ResourceCache,
        get_silence: Callable[[], Iterable[tuple[str, float]]],
        is_leading: Callable[[], bool],
        get_progress_seconds: Callable[[], float],
    ) -> None:
        self._queue, self._cache, self._get_silence, self._is_leading = queue, cache, get_silence, is_leading
        self._get_progress_seconds = get_progress_seconds

    def collect(self) -> Iterator[GaugeMetricFamily]:
        is_leading = self._is_leading()
        yield _gauge(
            "leader",
            "1 if this process works, 0 if it waits to take over. Only the leader has series of resources and queue.",
            float(is_leading),
        )
        if is_leading:
            yield from self._collect_work()
        silence = GaugeMetricFamily(
            "deepsynth_watch_silent_seconds",
            "Seconds for which a watch has been behind the API server.",
            labels=["resource"],
        )
        for plural, seconds in self._get_silence():
            silence.add_metric([plural], seconds)
        yield silence

    def _collect_work(self) -> Iterator[GaugeMetricFamily]:
        """Of the leader alone, so that sums over processes are right."""
        yield _gauge("queue_depth", "Resources that wait for a worker.", self._queue.depth)
        yield _gauge(
            "queue_oldest_seconds", "Seconds that the oldest waiting resource has waited.", self._queue.oldest_seconds
        )
        yield _gauge(
            "progress_interval_seconds",
            "Seconds between two writes of a running resource's progress, in the namespace where they are the longest: "
            "twice pollSeconds, and more with very many running resources.",
            self._get_progress_seconds(),
        )
        yield self._count_resources()
        yield self._measure_checkpoints()

    def _count_resources(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "deepsynth_resources", "Resources by state, as in kubectl get.", labels=["kind", "state"]
        )
        for kind in (known.name for known in KINDS.values()):
            states = Tally(str(item.get("status", {}).get("state") or "Pending") for item in self._cache.iterate(kind))
            for state, count in sorted(states.items()):
                family.add_metric([kind, state], count)
        return family

    def _measure_checkpoints(self) -> GaugeMetricFamily:
        running = (item for item in self._cache.iterate("TrainingRun") if _get_state(item) == "Running")
        now = datetime.now(UTC)
        ages = [(now - saved).total_seconds() for item in running if (saved := _find_last_saved(item)) is not None]
        text = "Seconds of work that the running TrainingRun with the oldest checkpoint would lose now; 0 if none runs."
        return _gauge("oldest_checkpoint_seconds", text, max(ages, default=0.0))


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"deepsynth_{name}", text, value=value)


def _get_state(run: Manifest) -> str:
    return str(run.get("status", {}).get("state") or "")


def _find_last_saved(run: Manifest) -> datetime | None:
    """When the live attempt last saved a checkpoint, or started to run if it has saved none."""
    attempts = run["status"].get("attempts") or [{}]
    return parse_time(attempts[-1].get("savedTime") or attempts[-1].get("runningTime"))
