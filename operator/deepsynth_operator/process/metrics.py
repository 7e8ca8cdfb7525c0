"""Prometheus metrics. No label names a resource: how many series there are does not grow with use."""

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
from deepsynth_api.v1alpha1 import Resource, TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run_status import AttemptOutcome
from deepsynth_operator.controller.controller import ReconcileResult
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.observed import Manifest, parse_time
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.report_reader import PollResult
from deepsynth_operator.kubernetes.resource_cache import ResourceCache

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """What is counted as it happens. What can be looked up is in ObservedState, which `watch` adds."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # or every series comes twice
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"deepsynth_{name}", text, labels, registry=self._registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"deepsynth_{name}", text, labels, buckets=_SECONDS, registry=self._registry)

        self._queue_wait = histogram("queue_wait_seconds", "How long resources waited for a worker.")
        self._reconciles = counter("reconciles", "Reconciles by how they ended.", "kind", "result")
        self._reconcile_seconds = histogram("reconcile_seconds", "How long a reconcile took.", "kind")
        self._attempts = counter("attempts", "Attempts of TrainingRuns that have ended.", "outcome")
        self._gpu_seconds = counter("gpu_seconds", "GPU-seconds held by attempts that have ended.", "result")
        self._requests = counter("api_requests", "Tries of requests to the API server.", "verb", "resource", "code")
        self._polls = counter("report_polls", "Reads of pods' reports.", "result")
        self._dropped_events = counter("events_dropped", "Events beyond the limit per resource.")
        self._show_zeros()

    def _show_zeros(self) -> None:
        """A series that begins with its first event hides it from Prometheus: there is no increase from nothing."""
        for result in ("useful", "lost"):
            self._gpu_seconds.labels(result)
        for outcome in get_args(AttemptOutcome):
            self._attempts.labels(outcome)
        for kind, result in itertools.product(KINDS, get_args(ReconcileResult)):
            self._reconciles.labels(kind, result)
        for result in get_args(PollResult):
            self._polls.labels(result)

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
        """Count the attempts that end with this status, and what they held. An attempt ends in one write."""
        if not isinstance(resource, TrainingRun) or not isinstance(status, TrainingRunStatus):
            return
        ended = {attempt.number for attempt in resource.status.attempts if attempt.end_time is not None}
        for attempt in status.attempts:
            if attempt.end_time is not None and attempt.number not in ended:
                self._attempts.labels(attempt.outcome or "").inc()
                self._gpu_seconds.labels("lost").inc(attempt.lost_gpu_seconds)
                self._gpu_seconds.labels("useful").inc(max(attempt.gpu_seconds - attempt.lost_gpu_seconds, 0))

    def watch(
        self,
        queue: WorkQueue[ResourceKey],
        cache: ResourceCache,
        get_silence: Callable[[], Iterable[tuple[str, float]]],
    ) -> None:
        """Show the queue, the resources and the watches too. get_silence: plural -> seconds."""
        self._registry.register(ObservedState(queue, cache, get_silence))

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)


class ObservedState(Collector):
    """Gauges that are computed when they are asked for."""

    def __init__(
        self,
        queue: WorkQueue[ResourceKey],
        cache: ResourceCache,
        get_silence: Callable[[], Iterable[tuple[str, float]]],
    ) -> None:
        self._queue, self._cache, self._get_silence = queue, cache, get_silence

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _gauge("queue_depth", "Resources that wait for a worker.", self._queue.depth)
        yield _gauge("queue_oldest_seconds", "How long the first of them has waited.", self._queue.oldest_seconds)
        yield self._count_resources()
        yield self._measure_checkpoints()
        silence = GaugeMetricFamily(
            "deepsynth_watch_silent_seconds", "How long a watch has been behind the API server.", labels=["resource"]
        )
        for plural, seconds in self._get_silence():
            silence.add_metric([plural], seconds)
        yield silence

    def _count_resources(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily("deepsynth_resources", "Resources by state.", labels=["kind", "state"])
        for kind in (known.name for known in KINDS.values()):
            states = Tally(str(item.get("status", {}).get("state") or "Pending") for item in self._cache.iterate(kind))
            for state, count in sorted(states.items()):
                family.add_metric([kind, state], count)
        return family

    def _measure_checkpoints(self) -> GaugeMetricFamily:
        running = (item for item in self._cache.iterate("TrainingRun") if _get_state(item) == "Running")
        now = datetime.now(UTC)
        ages = [(now - kept).total_seconds() for item in running if (kept := _find_last_kept(item)) is not None]
        text = "What the TrainingRun that runs longest without a new checkpoint would lose now; 0 when none runs."
        return _gauge("oldest_checkpoint_seconds", text, max(ages, default=0.0))


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"deepsynth_{name}", text, value=value)


def _get_state(run: Manifest) -> str:
    return str(run.get("status", {}).get("state") or "")


def _find_last_kept(run: Manifest) -> datetime | None:
    """When the live attempt last saved something, or else began to run."""
    attempts = run["status"].get("attempts") or [{}]
    return parse_time(attempts[-1].get("savedTime") or attempts[-1].get("runningTime"))
