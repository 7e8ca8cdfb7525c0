"""What the controller sees of the store between reads: the place of an informer's cache. This one is never behind."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from deepsynth_simulator.clock import Clock
from deepsynth_simulator.object_store import Object, ObjectStore, Subscriber, WatchEvent

DELETED_PODS_KEPT: Final = timedelta(minutes=10)


class ClusterView:
    """Reads, watch events and the last bodies of deleted pods. A test's view may lag, lose and repeat."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self.store, self._clock = store, clock
        self._subscribers: list[Subscriber] = []
        self._deleted: list[tuple[datetime, Object]] = []
        store.subscribe(self.receive)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with every event that reaches this view. It must only note, never act."""
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

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return self.store.get(kind, namespace, name)

    def select(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        return self.store.select(kind, namespace, labels)

    def list_deleted_pods(self, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """Last bodies of pods that were seen being deleted in the last ten minutes."""
        oldest = self._clock.now() - DELETED_PODS_KEPT
        self._deleted = [(time, pod) for time, pod in self._deleted if time >= oldest]
        return [
            pod
            for _, pod in self._deleted
            if pod["metadata"]["namespace"] == namespace and labels.items() <= pod["metadata"].get("labels", {}).items()
        ]
