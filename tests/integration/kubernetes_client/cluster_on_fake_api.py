"""A KubernetesCluster on a fake API server, put together as the operator does."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from deepsynth_api.report import Report
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.kubernetes.api.api_server import ApiServer
from deepsynth_operator.kubernetes.event_recorder import EventRecorder
from deepsynth_operator.kubernetes.kubernetes_cluster import KubernetesCluster
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from support.cluster.fake_api_server import Client, FakeApiServer, serve_api


@dataclass
class Stage:
    """The cluster under test, with everything that a test may want to change or check."""

    server: FakeApiServer
    client: Client
    api: ApiServer
    cache: ResourceCache
    cluster: KubernetesCluster
    events: EventRecorder
    dropped: list[None] = field(default_factory=list)
    statuses: list[Any] = field(default_factory=list)
    time: float = 1000.0
    """What the cluster's clock shows."""
    reports: dict[str, Report] = field(default_factory=dict)
    """What pods report, by uid."""

    def fill_cache(self) -> None:
        """Put in what the watches would have reported by now."""
        for kind in ("DatasetGeneration", "TrainingRun", "Job", "Pod"):
            for item in self.server.list_kind(kind):
                self.cache.put(kind, item)


class Reports:
    """What the poller knows of pods, without any poll."""

    def __init__(self) -> None:
        self.known: dict[str, Report] = {}

    async def read_all(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        uids = {pod["metadata"]["uid"] for pod in pods}
        return {uid: report for uid, report in self.known.items() if uid in uids}


@asynccontextmanager
async def a_cluster() -> AsyncIterator[Stage]:
    """An empty cluster."""
    async with serve_api() as server:
        client, cache, reports = Client(server), ResourceCache(), Reports()
        dropped: list[None] = []
        statuses: list[Any] = []
        async with client as api:
            events = EventRecorder(api, "test", lambda: dropped.append(None))
            cluster = KubernetesCluster(
                api, cache, reports, events, lambda _resource, status: statuses.append(status), clock=lambda: stage.time
            )
            stage = Stage(server, client, api, cache, cluster, events, dropped, statuses, reports=reports.known)
            yield stage
            await events.flush()
