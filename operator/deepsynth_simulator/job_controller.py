"""The Job controller: carries out what job_sync decides, and builds pods as Kubernetes does for an Indexed Job."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, JOB_NAME_LABEL, Manifest
from deepsynth_simulator.clock import Clock
from deepsynth_simulator.job_sync import JobDecision, NewPod, sync_job
from deepsynth_simulator.object_store import ObjectKey, ObjectStore, WatchEvent, key_of
from deepsynth_simulator.pod_fields import (
    CONTROLLER_UID_LABEL,
    FAILURE_COUNT_ANNOTATION,
    IGNORED_COUNT_ANNOTATION,
    TRACKING_FINALIZER,
)

OWN_NAME: Final = "kubernetes.io/job-controller"
"""In spec.managedBy. Jobs of other controllers are left alone."""
RETRY_DELAY: Final = timedelta(seconds=10)
"""Before the first retry of an index, as in Kubernetes; it doubles with each further failure."""


class JobController:
    """Notes which Jobs changed; `sync` brings all of them up to date."""

    def __init__(
        self, store: ObjectStore, clock: Clock, wake: Callable[[], None], retry_delay: timedelta = RETRY_DELAY
    ) -> None:
        self._store, self._clock, self._wake, self._retry_delay = store, clock, wake, retry_delay
        self._changed: dict[ObjectKey, None] = {}
        self._rechecks: set[tuple[ObjectKey, datetime]] = set()
        store.subscribe(self._note)

    def sync(self) -> bool:
        """Sync every Job that changed. Returns whether there was one."""
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
            self._changed[ObjectKey("Job", namespace, labels.get(JOB_NAME_LABEL, ""))] = None

    def _sync(self, key: ObjectKey, job: Manifest) -> None:
        if job["spec"].get("managedBy", OWN_NAME) != OWN_NAME:
            return
        pods = self._store.select("Pod", key.namespace, {CONTROLLER_UID_LABEL: job["metadata"]["uid"]})
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

    def _recheck(self, key: ObjectKey, time: datetime) -> None:
        if (key, time) in self._rechecks:
            return
        self._rechecks.add((key, time))

        def note() -> None:
            self._rechecks.discard((key, time))
            self._changed[key] = None
            self._wake()

        self._clock.call_later((time - self._clock.now()).total_seconds(), note)


def build_pod(job: Manifest, new: NewPod) -> Manifest:
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


def _with_index(container: Manifest) -> Manifest:
    path = f"metadata.annotations['{COMPLETION_INDEX_ANNOTATION}']"
    index = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": path}}}
    return {**container, "env": [*container.get("env", []), index]}
