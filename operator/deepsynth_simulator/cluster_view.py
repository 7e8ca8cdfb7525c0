"""The cache through which the controller sees the store, as an informer's cache in a cluster. This one never lags."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.clock import Clock
from deepsynth_simulator.object_store import ObjectStore, Subscriber, WatchEvent

DELETED_POD_RETENTION: Final = timedelta(minutes=10)


class ClusterView:
    """Cached reads, watch events, and the last state of deleted pods. In tests, LaggingView is late or loses events."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self.store, self._clock = store, clock
        self._subscribers: list[Subscriber] = []
        self._deleted: list[tuple[datetime, Manifest]] = []
        store.subscribe(self.receive)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with every event that reaches this view. It may take notes but must not change objects."""
        self._subscribers.append(subscriber)

    def receive(self, event: WatchEvent) -> None:
        """Take an event of the store."""
        self.deliver(event)

    def deliver(self, event: WatchEvent) -> None:
        """Let the controller see an event."""
        if event.type == "DELETED" and event.manifest["kind"] == "Pod":
            self._deleted.append((self._clock.now(), event.manifest))
        for subscriber in self._subscribers:
            subscriber(event)

    def note_written(self, manifest: Manifest) -> None:
        """Take what the API server answered to a write of the controller. This view has it already."""

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return self.store.get(kind, namespace, name)

    def select(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        return self.store.select(kind, namespace, labels)

    def list_deleted_pods(self, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        """Last state of the pods whose deletion was seen in the last ten minutes."""
        oldest = self._clock.now() - DELETED_POD_RETENTION
        self._deleted = [(time, pod) for time, pod in self._deleted if time >= oldest]
        return [
            pod
            for _, pod in self._deleted
            if pod["metadata"]["namespace"] == namespace and labels.items() <= pod["metadata"].get("labels", {}).items()
        ]
