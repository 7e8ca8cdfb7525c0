"""The Job controller and the garbage collector: carry out what job_sync decides, remove what lost its owner."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, JOB_NAME_LABEL
from deepsynth_simulator.clock import Clock
from deepsynth_simulator.job_sync import (
    FAILURE_COUNT_ANNOTATION,
    IGNORED_COUNT_ANNOTATION,
    TRACKING_FINALIZER,
    JobDecision,
    NewPod,
    sync_job,
)
from deepsynth_simulator.object_store import Key, Object, ObjectStore, WatchEvent, get_owner_uids, key_of

RETRY_DELAY: Final = timedelta(seconds=10)
"""Of the first retry of an index, as in Kubernetes; each further one waits twice as long."""
CONTROLLER_UID_LABEL: Final = "batch.kubernetes.io/controller-uid"


class JobController:
    """Notes which Jobs changed; `sync` brings all of them up to date."""

    def __init__(
        self, store: ObjectStore, clock: Clock, wake: Callable[[], None], retry_delay: timedelta = RETRY_DELAY
    ) -> None:
        self._store, self._clock, self._wake, self._retry_delay = store, clock, wake, retry_delay
        self._changed: dict[Key, None] = {}
        store.subscribe(self._note)

    def sync(self) -> bool:
        """Look at every Job that changed. Whether there was one."""
        if not self._changed:
            return False
        changed, self._changed = self._changed, {}
        for key in changed:
            job = self._store.get(*key)
            if job is not None:
                self._sync(key, job)
        return True

    def _note(self, event: WatchEvent) -> None:
        manifest = event.manifest
        if manifest["kind"] == "Job":
            self._changed[key_of(manifest)] = None
        elif manifest["kind"] == "Pod":
            namespace, labels = manifest["metadata"]["namespace"], manifest["metadata"].get("labels", {})
            self._changed["Job", namespace, labels.get(JOB_NAME_LABEL, "")] = None

    def _sync(self, key: Key, job: Object) -> None:
        pods = self._store.select("Pod", key[1], {CONTROLLER_UID_LABEL: job["metadata"]["uid"]})
        decision = sync_job(job, pods, self._clock.now(), self._retry_delay)
        if decision.suspends:
            self._release(decision)
        for pod in decision.delete:
            self._store.delete(key_of(pod))
        self._store.update(key, lambda item: item.update(status=decision.status))
        self._release(decision)
        for new_pod in decision.create:
            self._store.create(build_pod(job, new_pod))
        if decision.recheck_at:
            self._recheck(key, decision.recheck_at)

    def _release(self, decision: JobDecision) -> None:
        for pod in decision.release:
            self._store.remove_finalizer(key_of(pod), TRACKING_FINALIZER)

    def _recheck(self, key: Key, time: datetime) -> None:
        def note() -> None:
            self._changed[key] = None
            self._wake()

        self._clock.call_later((time - self._clock.now()).total_seconds(), note)


class GarbageCollector:
    """Deletes in the background what names an owner that is gone, and frees pods of Jobs that are."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._gone: list[str] = []
        self._new: list[Object] = []
        store.subscribe(self._note)

    def sync(self) -> bool:
        """Collect once. Whether there was anything to look at."""
        if not self._gone and not self._new:
            return False
        gone, self._gone = self._gone, []
        new, self._new = self._new, []
        orphans = [item for uid in gone for item in self._store.list_dependents(uid)]
        orphans += [item for item in new if not any(map(self._store.has_uid, get_owner_uids(item)))]
        for item in orphans:
            self._store.delete(key_of(item))
            self._store.remove_finalizer(key_of(item), TRACKING_FINALIZER)
        return True

    def _note(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._gone.append(event.manifest["metadata"]["uid"])
        elif event.type == "ADDED" and get_owner_uids(event.manifest):
            self._new.append(event.manifest)


def build_pod(job: Object, new: NewPod) -> Object:
    """The pod of one index, as the Job controller makes it from the Job's template."""
    metadata, template = job["metadata"], job["spec"]["template"]
    index, uid = str(new.index), metadata["uid"]
    labels = {
        **template.get("metadata", {}).get("labels", {}),
        JOB_NAME_LABEL: metadata["name"],
        CONTROLLER_UID_LABEL: uid,
        COMPLETION_INDEX_ANNOTATION: index,
    }
    annotations = {**template.get("metadata", {}).get("annotations", {}), COMPLETION_INDEX_ANNOTATION: index}
    if "backoffLimitPerIndex" in job["spec"]:
        annotations[FAILURE_COUNT_ANNOTATION] = str(new.failures)
        annotations[IGNORED_COUNT_ANNOTATION] = str(new.ignored)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{metadata['name']}-{index}-",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": annotations,
            "finalizers": [TRACKING_FINALIZER],
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": uid, "controller": True}
            ],
        },
        "spec": {
            **template["spec"],
            "hostname": f"{metadata['name']}-{index}",
            "containers": [_with_index(container) for container in template["spec"]["containers"]],
        },
        "status": {"phase": "Pending"},
    }


def _with_index(container: Object) -> Object:
    path = f"metadata.annotations['{COMPLETION_INDEX_ANNOTATION}']"
    index = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": path}}}
    return {**container, "env": [*container.get("env", []), index]}
