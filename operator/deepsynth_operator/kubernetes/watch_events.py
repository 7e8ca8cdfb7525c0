"""What a watch event means for the controller: the cache takes it, and whoever it concerns is looked at again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from deepsynth_api.kinds import KINDS, ResourceKind
from deepsynth_api.labels import OWNER_KIND, OWNER_NAME_ANNOTATION
from deepsynth_operator.controller.references import Referrers
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.api_paths import WatchedKind
from deepsynth_operator.kubernetes.resource_cache import ResourceCache

WatchEvent = Mapping[str, Any]
"""type and object, as the API server sends them; the type of what a list told is None."""

POD_SECONDS: Final = 1.0
"""A thousand pods that start or end tell of it a thousand times; their owner is looked at once."""


@dataclass(frozen=True, slots=True)
class WatchEvents:
    """Only notes: nothing here waits for anything."""

    cache: ResourceCache
    queue: WorkQueue[ResourceKey]
    referrers: Referrers = field(default_factory=Referrers)

    def note_resource(self, kind: ResourceKind, event: WatchEvent) -> None:
        """Queue the resource, and the TrainingRuns that wait for it."""
        metadata = event["object"]["metadata"]
        key = ResourceKey(kind, metadata["namespace"], metadata["name"])
        self._keep(kind, event)
        if kind == "TrainingRun":
            self._note_references(key)
        for other in (key, *self.referrers.find(key)):
            self.queue.add(other)

    def note_child(self, kind: Literal["Job", "Pod"], event: WatchEvent) -> None:
        """Queue the owner. What carries our label without naming an owner is nobody's child."""
        self._keep(kind, event)
        if (owner := find_owner(event["object"])) is None:
            return
        if kind == "Pod":
            self.queue.add_after(owner, POD_SECONDS)
        else:
            self.queue.add(owner)

    def note_gone(self, kind: WatchedKind, last: Manifest) -> None:
        """Take the end of an object that no watch told of."""
        event = {"type": "DELETED", "object": last}
        match kind:
            case "Job" | "Pod":
                self.note_child(kind, event)
            case _:
                self.note_resource(kind, event)

    def _keep(self, kind: WatchedKind, event: WatchEvent) -> None:
        if event["type"] == "DELETED":
            self.cache.remove(kind, event["object"])
        else:
            self.cache.put(kind, event["object"])

    def _note_references(self, key: ResourceKey) -> None:
        """From the cache: the event may tell an older state than it has."""
        run = self.cache.get(key.kind, key.namespace, key.name)
        if run is None:
            self.referrers.forget(key)
        else:
            self.referrers.note(run)


def find_owner(child: Manifest) -> ResourceKey | None:
    """The resource a child belongs to."""
    metadata = child["metadata"]
    kind = KINDS.get(metadata.get("labels", {}).get(OWNER_KIND, ""))
    name = metadata.get("annotations", {}).get(OWNER_NAME_ANNOTATION)
    return ResourceKey(kind.name, metadata["namespace"], name) if kind and name else None
