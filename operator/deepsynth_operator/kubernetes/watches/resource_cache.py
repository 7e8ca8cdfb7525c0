"""What the watches have reported so far. Objects are stored by uid, because a name may be used again.

The cache may be behind, and it may contain objects that are gone. KindWatch notes what was deleted while it did not
watch, and WatchAudit finds what was missed nevertheless.

Of each object only the fields that decisions use are stored: objects of users may have a megabyte each. What a child is
built from, such as spec.template, is read from the API server before it is created.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, Final

from deepsynth_api.labels import (
    DEADLINE_ANNOTATION,
    DOCUMENT_ANNOTATION,
    DOCUMENT_TIME_ANNOTATION,
    MIN_PARALLELISM,
    OWNER_KIND,
    OWNER_NAME_ANNOTATION,
    OWNER_UID,
    QUEUE_JOB_ANNOTATION,
    QUEUE_NAME,
    QUEUE_PODSET,
    QUEUE_PRIORITY_CLASS,
    RESTART_ANNOTATION,
    STEP,
    STOPPING_ANNOTATION,
)
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, JOB_NAME_LABEL, Manifest
from deepsynth_operator.kubernetes.api.api_paths import WATCHED_KINDS, WatchedKind
from deepsynth_operator.kubernetes.watches.deleted_pods import MAX_DELETED_PODS, REMEMBERED_SECONDS, DeletedPods
from deepsynth_operator.kubernetes.watches.shared_strings import SharedStrings

Name = tuple[str, str]
"""Namespace and name."""

_METADATA_FIELDS: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_QUEUE_LABELS: Final = (QUEUE_NAME, QUEUE_PRIORITY_CLASS)
_LABELS: Final = (OWNER_KIND, OWNER_UID, STEP, JOB_NAME_LABEL, *_QUEUE_LABELS)
_ANNOTATIONS: Final = (
    OWNER_NAME_ANNOTATION,
    COMPLETION_INDEX_ANNOTATION,
    DEADLINE_ANNOTATION,
    DOCUMENT_ANNOTATION,
    DOCUMENT_TIME_ANNOTATION,
    MIN_PARALLELISM,
    QUEUE_JOB_ANNOTATION,
    RESTART_ANNOTATION,
    STOPPING_ANNOTATION,
)
_SPEC_FIELDS: Final = {
    "Pod": ("nodeName",),
    "Job": ("suspend", "parallelism", "completions", "activeDeadlineSeconds", "backoffLimitPerIndex"),
}
_STATUS_FIELDS: Final = {
    "Pod": ("phase", "reason", "podIP", "conditions", "containerStatuses"),
    "Job": ("conditions", "startTime", "active", "succeeded", "completedIndexes", "failedIndexes"),
}
"""And `ready` of Jobs that the operator itself manages. Of others it changes often, and nothing depends on it."""
_TEMPLATE_FIELDS: Final = ("terminationGracePeriodSeconds",)


class ResourceCache:
    """clock: a monotonic clock, in seconds."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, max_deleted_pods: int = MAX_DELETED_PODS
    ) -> None:
        self._clock = clock
        self._deleted_pods = DeletedPods(max_deleted_pods)
        self._strings = SharedStrings()
        self._objects: dict[WatchedKind, dict[str, Manifest]] = {kind: {} for kind in WATCHED_KINDS}
        self._uids: dict[tuple[WatchedKind, Name], str] = {}
        self._children: defaultdict[tuple[WatchedKind, str], set[str]] = defaultdict(set)
        self._deleted: dict[str, tuple[float, int]] = {}
        """By uid: when the object was deleted, and its last resourceVersion, oldest first. A newer version restores
        it: a watch with a selector reports a removed label as a deletion, and the label may be added again."""
        self._own_writes: dict[str, int] = {}
        """By uid: the version that this process has written last."""

    def put(self, kind: WatchedKind, body: Manifest) -> None:
        """Store an object, unless a newer version of it or its deletion is known."""
        uid = body["metadata"]["uid"]
        known = self._objects[kind].get(uid)
        if self.was_deleted(uid, get_version(body)) or (known is not None and get_version(known) >= get_version(body)):
            return
        self._deleted.pop(uid, None)
        if kind == "Pod":
            self._deleted_pods.discard(body["metadata"]["namespace"], uid)
        if known is not None:
            self._forget_child(kind, known)
        self._objects[kind][uid] = self._strings.share(_reduce(kind, body), known)
        # A name that is used again belongs to the newer object, even if the deletion of the older one comes late.
        holder = self._objects[kind].get(self._uids.get((kind, _get_name(body)), uid))
        if holder is None or get_version(holder) <= get_version(body):
            self._uids[kind, _get_name(body)] = uid
        if owner := self._objects[kind][uid]["metadata"].get("labels", {}).get(OWNER_UID):
            self._children[kind, owner].add(uid)

    def put_own(self, kind: WatchedKind, body: Manifest) -> None:
        """Store an object that this process has just written. The event of this very version is then its echo."""
        self.put(kind, body)
        self._own_writes[body["metadata"]["uid"]] = get_version(body)

    def is_own_write(self, body: Manifest) -> bool:
        """Whether this process has written this version, so that it is no news."""
        return self._own_writes.get(body["metadata"]["uid"]) == get_version(body)

    def remove(self, kind: WatchedKind, body: Manifest) -> None:
        """Note that an object was deleted. body: its last state."""
        uid, now = body["metadata"]["uid"], self._clock()
        known = self._objects[kind].pop(uid, None)
        if self._uids.get((kind, _get_name(body))) == uid:
            del self._uids[kind, _get_name(body)]
        if known is not None:
            self._forget_child(kind, known)
        self._own_writes.pop(uid, None)
        self._deleted.pop(uid, None)
        self._deleted[uid] = now, get_version(body)
        if kind == "Pod":
            self._deleted_pods.add(_reduce(kind, body), now)
        self._purge(now)

    def get(self, kind: WatchedKind, namespace: str, name: str) -> Manifest | None:
        uid = self._uids.get((kind, (namespace, name)))
        return None if uid is None else self._objects[kind].get(uid)

    def list_children(self, kind: WatchedKind, namespace: str, owner_uid: str) -> list[Manifest]:
        """Objects with the label of this owner."""
        found = (self._objects[kind][uid] for uid in self._children.get((kind, owner_uid), ()))
        return [item for item in found if item["metadata"]["namespace"] == namespace]

    def list_deleted_pods(self, namespace: str, owner_uid: str) -> list[Manifest]:
        """The last states of this owner's pods that were deleted in the last ten minutes."""
        self._purge(self._clock())
        return self._deleted_pods.select(namespace, owner_uid)

    def iterate(self, kind: WatchedKind) -> Iterator[Manifest]:
        """All objects of a kind, in any order."""
        return iter(tuple(self._objects[kind].values()))

    def find_unlisted(
        self, kind: WatchedKind, namespace: str | None, listed: Container[str], version: int
    ) -> list[Manifest]:
        """Objects that are gone, because a list of the API server with this resourceVersion does not have them.

        listed: the uids in that list. namespace: the one that was listed; None for the whole cluster.
        """
        return [
            item
            for item in self.iterate(kind)
            if item["metadata"]["uid"] not in listed
            and namespace in {None, item["metadata"]["namespace"]}
            and get_version(item) <= version
        ]

    def find(self, kind: WatchedKind, uid: str) -> Manifest | None:
        return self._objects[kind].get(uid)

    def was_deleted(self, uid: str, version: int) -> bool:
        """Whether the object was deleted in the last ten minutes, at this version or a later one."""
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
        self._deleted_pods.forget_before(oldest)


def get_version(body: Manifest) -> int:
    """metadata.resourceVersion. It grows with every change of any object (documented since Kubernetes 1.35)."""
    return int(body["metadata"]["resourceVersion"])


def _get_name(body: Manifest) -> Name:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _reduce(kind: WatchedKind, body: Manifest) -> Manifest:
    """`body` with only the fields that are used."""
    metadata = _pick(body["metadata"], _METADATA_FIELDS)
    spec, status = body.get("spec", {}), body.get("status", {})
    if kind not in _SPEC_FIELDS:
        template = {"template": _pick(spec["template"], _TEMPLATE_FIELDS)} if "template" in spec else {}
        metadata["labels"] = _pick(body["metadata"].get("labels", {}), _QUEUE_LABELS)
        return {**body, "metadata": metadata, "spec": {**spec, **template}}
    metadata["labels"] = _pick(body["metadata"].get("labels", {}), _LABELS)
    metadata["annotations"] = _pick(body["metadata"].get("annotations", {}), _ANNOTATIONS)
    pods = _reduce_template(spec.get("template", {}))
    return {
        "metadata": metadata,
        "spec": _pick(spec, _SPEC_FIELDS[kind]) | ({"template": pods} if pods else {}),
        "status": _pick(status, (*_STATUS_FIELDS[kind], *(("ready",) if "managedBy" in spec else ()))),
    }


def _reduce_template(template: Manifest) -> Manifest:
    """Of a Job: whether a queue has admitted it, and what the price of a pod depends on."""
    labels = _pick(template.get("metadata", {}).get("labels", {}), (QUEUE_PODSET,))
    spec = template.get("spec", {})
    resources = [_pick(container, ("resources",)) for container in (spec.get("containers") or [])[:1]]
    kept = _pick(spec, ("nodeSelector",)) | ({"containers": resources} if any(resources) else {})
    return ({"metadata": {"labels": labels}} if labels else {}) | ({"spec": kept} if kept else {})


def _pick(item: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {field: item[field] for field in fields if field in item}
