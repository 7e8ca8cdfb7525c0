"""What a watch event means for the controller: update the cache, and queue the resources that it concerns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from deepsynth_api.kinds import KINDS, ResourceKind
from deepsynth_api.labels import OWNER_KIND, OWNER_NAME_ANNOTATION
from deepsynth_api.reasons import Reason
from deepsynth_operator.controller.references import Referrers
from deepsynth_operator.controller.waiting_keys import Urgency
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.observed import JOB_NAME_LABEL, Manifest, find_true_condition
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.api.api_paths import WatchedKind
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache

WatchEvent = Mapping[str, Any]
"""type and object, as the API server sends them; the type is None for an object from a list."""

FINISHED_SECONDS: Final = 1.0
"""Delay of finished resources: after a restart, those that are not finished come first."""
CHILD_SECONDS: Final = 1.0
"""Delay after an event of a pod, or of a Job that continues: when a thousand pods start or end, their owner is
reconciled once."""
QUIET_SECONDS: Final = 5.0
"""The same while a child only starts, or has succeeded: until pods run, or their Job has ended, nothing is new."""

_PROGRESSING: Final = frozenset({None, Reason.CONTAINER_CREATING, Reason.POD_INITIALIZING})
"""What a container waits for without anybody's help."""
_COUNTS: Final = frozenset({"startTime", "active", "succeeded", "completedIndexes"})
"""Fields of a Job's status that change while it proceeds."""


@dataclass(frozen=True, slots=True)
class WatchEvents:
    """Nothing here waits for anything. on_start: called with a pod that has just started to run."""

    cache: ResourceCache
    queue: WorkQueue[ResourceKey]
    referrers: Referrers = field(default_factory=Referrers)
    on_start: Callable[[Manifest], None] = lambda _pod: None

    def note(self, kind: WatchedKind, event: WatchEvent) -> None:
        """Handle an event of any kind."""
        match kind:
            case "Job" | "Pod":
                self.note_child(kind, event)
            case _:
                self.note_resource(kind, event)

    def note_resource(self, kind: ResourceKind, event: WatchEvent) -> None:
        """Queue the resource, and the TrainingRuns that wait for it.

        The echo of the controller's own write is no news: the reconcile that wrote it knows when to look again.
        """
        metadata = event["object"]["metadata"]
        key = ResourceKey(kind, metadata["namespace"], metadata["name"])
        is_echo = event["type"] != "DELETED" and self.cache.is_own_write(event["object"])
        self._keep(kind, event)
        if kind == "TrainingRun":
            self._note_references(key)
        resource = self.cache.get(*key)
        if resource is not None and is_finished(resource):
            if not is_echo and not self._is_settled(resource):
                self.queue.add_after(key, FINISHED_SECONDS, Urgency.NEW)
        elif not is_echo:
            self.queue.add(key, Urgency.RUNNING if _has_started(resource) else Urgency.NEW)
        for other in self.referrers.find_concerned(key, resource):
            self.queue.add(other, Urgency.NEW)

    def note_child(self, kind: Literal["Job", "Pod"], event: WatchEvent) -> None:
        """Queue the owner, unless nothing changed that a decision depends on.

        An object that has our label but names no owner is ignored.
        """
        uid = event["object"]["metadata"]["uid"]
        before = self.cache.find(kind, uid)
        self._keep(kind, event)
        if (owner := find_owner(event["object"])) is None:
            return
        # Objects from a list always count: it may be the first one of this process.
        after = self.cache.find(kind, uid)
        if event["type"] in {"ADDED", "MODIFIED"} and _is_same(before, after):
            return
        if kind == "Pod" and is_finished(self.cache.get(*owner)):
            return  # only Jobs are cleaned up
        has_ended = event["type"] == "DELETED" or _has_ended(event["object"])
        if kind == "Pod" and after is not None and _runs(after) and not _runs(before):
            self.on_start(after)
        urgency = Urgency.ENDING if has_ended else Urgency.RUNNING
        is_last = self._is_awaited(event) if kind == "Pod" else has_ended
        if is_last or (kind == "Job" and _is_switched(before, event["object"])):
            self.queue.add(owner, urgency)
        else:
            can_wait = _can_wait(event) if kind == "Pod" else _differ_in_counts(before, after)
            self.queue.add_after(owner, QUIET_SECONDS if can_wait else CHILD_SECONDS, urgency)

    def note_gone(self, kind: WatchedKind, last: Manifest) -> None:
        """Handle the deletion of an object that no watch reported. last: its last known state."""
        self.note(kind, {"type": "DELETED", "object": last})

    def _is_settled(self, finished: Manifest) -> bool:
        """Whether a finished resource has nothing to clean up, now or later, and no changed spec to answer."""
        metadata, status = finished["metadata"], finished["status"]
        jobs = self.cache.list_children("Job", metadata["namespace"], metadata["uid"])
        has_jobs = bool(jobs) and "ttlSecondsAfterFinished" in finished["spec"]
        is_answered = status.get("observedGeneration") == metadata.get("generation")
        return is_answered and not has_jobs and all(map(is_finished, jobs))

    def _is_awaited(self, event: WatchEvent) -> bool:
        """Whether a pod has ended after its Job: only its exit code was missing."""
        pod = event["object"]
        if event["type"] == "DELETED" or not _has_ended(pod):
            return False
        name = pod["metadata"].get("labels", {}).get(JOB_NAME_LABEL, "")
        return is_finished(self.cache.get("Job", pod["metadata"]["namespace"], name))

    def _keep(self, kind: WatchedKind, event: WatchEvent) -> None:
        if event["type"] == "DELETED":
            self.cache.remove(kind, event["object"])
        else:
            self.cache.put(kind, event["object"])

    def _note_references(self, key: ResourceKey) -> None:
        """From the cache, which may be newer than the event."""
        run = self.cache.get(key.kind, key.namespace, key.name)
        if run is None:
            self.referrers.forget(key)
        else:
            self.referrers.note(run)


def _has_started(resource: Manifest | None) -> bool:
    """Whether it has a Job, or has gone."""
    status = resource.get("status", {}) if resource is not None else {}
    return resource is None or bool(status.get("attempts") or status.get("jobs"))


def _has_ended(child: Manifest) -> bool:
    """Whether a Job has ended or is failing, or a pod has."""
    conditions = any(find_true_condition(child, kind) for kind in ("Complete", "Failed", "FailureTarget"))
    return conditions or child.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def _runs(pod: Manifest | None) -> bool:
    return pod is not None and pod["status"].get("phase") == "Running"


def _is_same(before: Manifest | None, after: Manifest | None) -> bool:
    """Whether two cached states of an object differ only in fields that the cache does not keep."""
    if before is None or after is None:
        return False
    return before is after or _without_version(before) == _without_version(after)


def _without_version(cached: Manifest) -> Manifest:
    return {**cached, "metadata": {**cached["metadata"], "resourceVersion": ""}}


def _can_wait(event: WatchEvent) -> bool:
    """Whether a pod has succeeded, or waits for its containers and nothing keeps them from starting."""
    pod, status = event["object"], event["object"].get("status", {})
    if event["type"] == "DELETED" or "deletionTimestamp" in pod["metadata"]:
        return False
    if status.get("phase") == "Succeeded":
        return True
    conditions = {item["type"]: item["status"] for item in status.get("conditions") or []}
    if conditions.get("PodScheduled") == "False" or "DisruptionTarget" in conditions:
        return False
    states = [item.get("state", {}) for item in status.get("containerStatuses") or []]
    waits = all(state.keys() <= {"waiting"} and _get_waiting_reason(state) in _PROGRESSING for state in states)
    return waits and status.get("phase", "Pending") == "Pending"


def _get_waiting_reason(state: Manifest) -> str | None:
    reason: str | None = state.get("waiting", {}).get("reason")
    return reason


def _differ_in_counts(before: Manifest | None, after: Manifest | None) -> bool:
    """Whether two cached states of a Job differ only in when it started and in how many pods run or have succeeded."""
    if before is None or after is None:
        return False
    return _is_same(*({**job, "status": _drop_counts(job["status"])} for job in (before, after)))


def _drop_counts(status: Manifest) -> Manifest:
    return {name: value for name, value in status.items() if name not in _COUNTS}


def _is_switched(before: Manifest | None, job: Manifest) -> bool:
    """Whether a queue has admitted or suspended the Job."""
    return before is not None and before["spec"].get("suspend", False) != job["spec"].get("suspend", False)


def is_finished(resource: Manifest | None) -> bool:
    """Whether it is Complete or Failed, for good."""
    return resource is not None and any(find_true_condition(resource, kind) for kind in ("Complete", "Failed"))


def find_owner(child: Manifest) -> ResourceKey | None:
    """The resource that a child belongs to; None if it names none."""
    metadata = child["metadata"]
    kind = KINDS.get(metadata.get("labels", {}).get(OWNER_KIND, ""))
    name = metadata.get("annotations", {}).get(OWNER_NAME_ANNOTATION)
    return ResourceKey(kind.name, metadata["namespace"], name) if kind and name else None
