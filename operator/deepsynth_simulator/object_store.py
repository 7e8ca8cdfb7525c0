"""Objects as an API server keeps them: resourceVersion, uid, generation, finalizers, deletion marks, watch events.

Everything is synchronous, and subscribers are called in the order of the changes. A subscriber must not change objects:
it notes what to do and does it later.

Deletion follows the API server: an object with finalizers only gets a deletionTimestamp and vanishes with its last
finalizer; a pod gets one too, and vanishes when its kubelet has seen its containers end.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from deepsynth_operator.core.cluster import get_kind
from deepsynth_operator.core.observed import Manifest

_DEFAULT_GRACE_SECONDS = 30


class ObjectKey(NamedTuple):
    """What names an object in the store. `str()` gives Pod default/read-xsum-0."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    manifest: Manifest
    """The object after the change, or the last state of a deleted one."""


Subscriber = Callable[[WatchEvent], None]


class AlreadyExists(Exception):  # noqa: N818 - named after the API server's reason
    """An object of this kind, namespace and name exists."""


def copy_object(manifest: Manifest) -> dict[str, Any]:
    """A deep copy of JSON, several times as fast as copy.deepcopy: every read and write copies."""
    return {key: _copy_value(value) for key, value in manifest.items()}


def _copy_value(value: Any) -> Any:
    if isinstance(value, dict):
        return copy_object(value)
    return [_copy_value(item) for item in value] if isinstance(value, list) else value


def key_of(manifest: Manifest) -> ObjectKey:
    metadata = manifest["metadata"]
    return ObjectKey(get_kind(manifest), metadata.get("namespace", "default"), metadata["name"])


def format_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


class ObjectStore:
    """All objects by key. What it returns are copies; what it is given is copied."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._objects: dict[ObjectKey, dict[str, Any]] = {}
        self._places: dict[tuple[str, str], dict[ObjectKey, dict[str, Any]]] = {}
        """The same by kind and namespace, so that many namespaces are as fast as one."""
        self._uids: set[str] = set()
        self._subscribers: list[Subscriber] = []
        self._version = 0

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        found = self._objects.get(ObjectKey(kind, namespace, name))
        return None if found is None else copy_object(found)

    def select(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """Objects of a kind in order of creation; `namespace` None means all."""
        return [copy_object(item) for item in self._find(kind, namespace, labels or {})]

    def list_dependents(self, uid: str) -> list[Manifest]:
        """Objects that name `uid` in their ownerReferences."""
        return [copy_object(item) for item in self._objects.values() if uid in get_owner_uids(item)]

    def has_uid(self, uid: str) -> bool:
        return uid in self._uids

    def create(self, manifest: Manifest) -> Manifest:
        """Store a new object, with generateName resolved. Raises AlreadyExists."""
        created = copy_object(manifest)
        uid = str(uuid.uuid4())
        created["metadata"] = {
            "namespace": "default",
            "name": created["metadata"].get("generateName", "") + uid[:5],
            **created["metadata"],
            "uid": uid,
            "generation": 1,
            "creationTimestamp": format_time(self._now()),
        }
        return self.restore(created)

    def restore(self, manifest: Manifest) -> Manifest:
        """Store an object of an earlier process as it is, uid and status included. Raises AlreadyExists."""
        key, restored = key_of(manifest), copy_object(manifest)
        if key in self._objects:
            raise AlreadyExists(f"{key} already exists")
        self._put(key, restored, "ADDED")
        return copy_object(restored)

    def update(self, key: ObjectKey, change: Callable[[dict[str, Any]], None]) -> Manifest:
        """Let `change` edit an object. A changed spec increments its generation; without a change there is no event.

        Raises KeyError if it does not exist.
        """
        old = self._objects[key]
        new = copy_object(old)
        change(new)
        if new != old:
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] += 1
            self._put(key, new, "MODIFIED")
        return copy_object(new)

    def delete(self, key: ObjectKey) -> None:
        """Begin a deletion with background propagation; nothing happens if the object does not exist.

        Pods and objects with finalizers are only marked. A pod's deletionTimestamp is the end of its grace period; its
        kubelet stops it and calls `remove` afterwards.
        """
        found = self._objects.get(key)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return
        if key.kind != "Pod" and not found["metadata"].get("finalizers"):
            self._remove(key)
            return
        grace = found["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS) if key.kind == "Pod" else 0
        end = format_time(self._now() + timedelta(seconds=grace))
        self.update(key, lambda item: item["metadata"].update(deletionTimestamp=end, deletionGracePeriodSeconds=grace))

    def remove(self, key: ObjectKey) -> None:
        """End the grace period of an object that is being deleted: it vanishes now, or with its last finalizer."""
        self.update(key, _end_grace)
        self._remove_if_free(key)

    def remove_finalizer(self, key: ObjectKey, finalizer: str) -> None:
        """Drop a finalizer; no error if it or the object is gone. A DELETED event still shows the last one."""
        found = self._objects.get(key)
        if found is None or finalizer not in found["metadata"].get("finalizers", ()):
            return
        rest = [item for item in found["metadata"]["finalizers"] if item != finalizer]
        if not rest and found["metadata"].get("deletionGracePeriodSeconds") == 0:
            self._remove(key)
            return
        self.update(key, lambda item: item["metadata"].update(finalizers=rest))

    def _find(self, kind: str, namespace: str | None, labels: Mapping[str, str]) -> Iterator[Manifest]:
        found = self._objects if namespace is None else self._places.get((kind, namespace), {})
        for key, item in found.items():
            if key.kind == kind and labels.items() <= item["metadata"].get("labels", {}).items():
                yield item

    def _remove_if_free(self, key: ObjectKey) -> None:
        metadata = self._objects[key]["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self._remove(key)

    def _remove(self, key: ObjectKey) -> None:
        removed = self._objects.pop(key)
        del self._places[key.kind, key.namespace][key]
        self._uids.discard(removed["metadata"]["uid"])
        self._version += 1
        self._notify(WatchEvent("DELETED", removed))

    def _put(self, key: ObjectKey, manifest: dict[str, Any], event: Literal["ADDED", "MODIFIED"]) -> None:
        self._version += 1
        manifest["metadata"]["resourceVersion"] = str(self._version)
        self._objects[key] = manifest
        self._places.setdefault((key.kind, key.namespace), {})[key] = manifest
        self._uids.add(manifest["metadata"]["uid"])
        self._notify(WatchEvent(event, manifest))

    def _notify(self, event: WatchEvent) -> None:
        for subscriber in self._subscribers:
            subscriber(event)


def get_owner_uids(manifest: Manifest) -> set[str]:
    return {reference["uid"] for reference in manifest["metadata"].get("ownerReferences", ())}


def compute_deletion_time(manifest: Manifest) -> datetime:
    """When the deletion was requested: deletionTimestamp is the end of the grace period."""
    metadata = manifest["metadata"]
    grace = timedelta(seconds=metadata["deletionGracePeriodSeconds"])
    return datetime.fromisoformat(metadata["deletionTimestamp"]) - grace


def _end_grace(manifest: dict[str, Any]) -> None:
    """Date the deletion at its request, as the API server does for one without a grace period."""
    requested = format_time(compute_deletion_time(manifest))
    manifest["metadata"].update(deletionTimestamp=requested, deletionGracePeriodSeconds=0)
