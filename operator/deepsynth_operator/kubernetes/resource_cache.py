"""What the watches have told so far. Objects are known by their uid: a name may be used again.

A cache may be late and may keep what is gone (a watch that had to begin anew says nothing of what vanished meanwhile);
WatchAudit finds both. It holds of each object only what the controller looks at.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from deepsynth_api.labels import OWNER_NAME_ANNOTATION, OWNER_UID
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Manifest
from deepsynth_operator.kubernetes.api_paths import WATCHED_KINDS, WatchedKind

REMEMBERED_SECONDS: Final = 600.0
"""How long the last bodies of deleted pods are kept: exit codes live there."""
MOST_DELETED_PODS: Final = 10_000

Name = tuple[str, str]
"""Namespace and name."""

_KEPT_METADATA: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
)
_KEPT_ANNOTATIONS: Final = (OWNER_NAME_ANNOTATION, COMPLETION_INDEX_ANNOTATION)
_KEPT_SPEC: Final = {"Pod": ("nodeName",), "Job": ("suspend", "parallelism", "completions")}
_KEPT_POD_STATUS: Final = ("phase", "reason", "podIP", "conditions", "containerStatuses")


class ResourceCache:
    """clock: seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._objects: dict[WatchedKind, dict[str, Manifest]] = {kind: {} for kind in WATCHED_KINDS}
        self._uids: dict[tuple[WatchedKind, Name], str] = {}
        self._children: defaultdict[tuple[WatchedKind, str], set[str]] = defaultdict(set)
        self._deleted: dict[str, tuple[float, int]] = {}
        """When an object of this uid was seen being deleted, oldest first, and its last version. A newer one brings it
        back: to a watch with a selector, taking our label off is a deletion, and the label may be put on again."""
        self._deleted_pods: dict[str, tuple[float, Manifest]] = {}

    def put(self, kind: WatchedKind, body: Manifest) -> None:
        """Take an object that exists, unless a newer state of it is known, or its end."""
        uid = body["metadata"]["uid"]
        known = self._objects[kind].get(uid)
        if self.was_deleted(uid, get_version(body)) or (known is not None and get_version(known) >= get_version(body)):
            return
        self._deleted.pop(uid, None)
        self._deleted_pods.pop(uid, None)
        if known is not None:
            self._forget_child(kind, known)
        self._objects[kind][uid] = _reduce(kind, body)
        # A name that is used again is the younger object's, also when the end of the older one comes late.
        holder = self._objects[kind].get(self._uids.get((kind, _get_name(body)), uid))
        if holder is None or get_version(holder) <= get_version(body):
            self._uids[kind, _get_name(body)] = uid
        if owner := body["metadata"].get("labels", {}).get(OWNER_UID):
            self._children[kind, owner].add(uid)

    def remove(self, kind: WatchedKind, body: Manifest) -> None:
        """Take the end of an object; `body` is its last state."""
        uid, now = body["metadata"]["uid"], self._clock()
        known = self._objects[kind].pop(uid, None)
        if self._uids.get((kind, _get_name(body))) == uid:
            del self._uids[kind, _get_name(body)]
        if known is not None:
            self._forget_child(kind, known)
        self._deleted.pop(uid, None)
        self._deleted[uid] = now, get_version(body)
        if kind == "Pod":
            self._deleted_pods[uid] = (now, _reduce(kind, body))
        self._purge(now)

    def get(self, kind: WatchedKind, namespace: str, name: str) -> Manifest | None:
        uid = self._uids.get((kind, (namespace, name)))
        return None if uid is None else self._objects[kind].get(uid)

    def list_children(self, kind: WatchedKind, namespace: str, owner_uid: str) -> list[Manifest]:
        """Objects that carry the label of this owner."""
        found = (self._objects[kind][uid] for uid in self._children.get((kind, owner_uid), ()))
        return [item for item in found if item["metadata"]["namespace"] == namespace]

    def list_deleted_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        """Last bodies of this owner's pods that were seen being deleted in the last ten minutes."""
        self._purge(self._clock())
        wanted = (namespace, owner_uid)
        return [
            pod
            for _, pod in self._deleted_pods.values()
            if (pod["metadata"]["namespace"], pod["metadata"].get("labels", {}).get(OWNER_UID)) == wanted
        ]

    def iterate(self, kind: WatchedKind) -> Iterator[Manifest]:
        """All objects of a kind, in no order."""
        return iter(tuple(self._objects[kind].values()))

    def find(self, kind: WatchedKind, uid: str) -> Manifest | None:
        return self._objects[kind].get(uid)

    def was_deleted(self, uid: str, version: int) -> bool:
        """Whether it was seen being deleted, in this version or a later one, in the last ten minutes."""
        return uid in self._deleted and version <= self._deleted[uid][1]

    def _forget_child(self, kind: WatchedKind, body: Manifest) -> None:
        owner = body["metadata"].get("labels", {}).get(OWNER_UID, "")
        siblings = self._children.get((kind, owner), set())
        siblings.discard(body["metadata"]["uid"])
        if not siblings:
            self._children.pop((kind, owner), None)

    def _purge(self, now: float) -> None:
        oldest = now - REMEMBERED_SECONDS
        while self._deleted and next(iter(self._deleted.values()))[0] < oldest:
            del self._deleted[next(iter(self._deleted))]
        while self._deleted_pods:
            uid, (seen, _) = next(iter(self._deleted_pods.items()))
            if seen >= oldest and len(self._deleted_pods) <= MOST_DELETED_PODS:
                return
            del self._deleted_pods[uid]


def get_version(body: Manifest) -> int:
    """metadata.resourceVersion: it grows with every change of any object (said officially from Kubernetes 1.35 on)."""
    return int(body["metadata"]["resourceVersion"])


def _get_name(body: Manifest) -> Name:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _reduce(kind: WatchedKind, body: Manifest) -> Manifest:
    """`body` without what nobody looks at: most of a pod, and the managedFields of everything."""
    if kind not in _KEPT_SPEC:
        return {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "managedFields"}}
    metadata = _pick(body["metadata"], _KEPT_METADATA)
    metadata["annotations"] = _pick(body["metadata"].get("annotations", {}), _KEPT_ANNOTATIONS)
    status = body.get("status", {})
    return {
        "metadata": metadata,
        "spec": _pick(body.get("spec", {}), _KEPT_SPEC[kind]),
        "status": _pick(status, _KEPT_POD_STATUS) if kind == "Pod" else status,
    }


def _pick(item: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {field: item[field] for field in fields if field in item}
