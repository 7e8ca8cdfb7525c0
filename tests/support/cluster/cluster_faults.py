"""Faults of a simulated cluster: evictions, lost nodes, deleted pods, Kueue, late caches.

Each function does to a MemoryCluster what was recorded on a real one.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from deepsynth_api.labels import MIN_PARALLELISM, OWNER_UID, QUEUE_NAME, QUEUE_PODSET, STOPPING_ANNOTATION
from deepsynth_operator.core.cluster import JobSubresource
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.kubernetes.api.api_paths import WATCHED_KINDS, WatchedKind
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from deepsynth_simulator.cluster_view import ClusterView
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import ObjectKey, WatchEvent, copy_object, key_of
from deepsynth_simulator.pod_fields import set_pod_condition

EVICTED = "EvictionByEvictionAPI"
PREEMPTED = "PreemptionByScheduler"
TAINTED = "DeletionByTaintManager"


def find_pods(cluster: MemoryCluster, prefix: str = "") -> list[Manifest]:
    """Pods whose names have this prefix, sorted by name."""
    pods = [pod for pod in cluster.store.select("Pod") if pod["metadata"]["name"].startswith(prefix)]
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def find_pod(cluster: MemoryCluster, prefix: str) -> Manifest:
    """The one pending or running pod whose name has this prefix."""
    (pod,) = [pod for pod in find_pods(cluster, prefix) if pod["status"]["phase"] in {"Pending", "Running"}]
    return pod


def disrupt(cluster: MemoryCluster, prefix: str, reason: str = EVICTED) -> None:
    """Mark the pod with DisruptionTarget, then delete it gracefully: eviction, preemption, a NoExecute taint."""
    key = key_of(find_pod(cluster, prefix))
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": f"test: {reason}"}
    cluster.store.update(key, lambda pod: set_pod_condition(pod, condition))
    cluster.delete_object(*key)


def delete_pod(cluster: MemoryCluster, prefix: str) -> None:
    """What `kubectl delete pod` does."""
    cluster.delete_object(*key_of(find_pod(cluster, prefix)))


def lose_node(cluster: MemoryCluster, name: str) -> None:
    """Its kubelet stops reporting: pods keep their last status while their processes run on."""
    cluster.kubelet.nodes[name].ready = False


def taint_node(cluster: MemoryCluster, name: str) -> None:
    """What follows on a lost node after the pods' tolerations: they are marked and deleted, but cannot be removed."""
    for pod in find_pods(cluster):
        is_alive = pod["status"]["phase"] in {"Pending", "Running"} and "deletionTimestamp" not in pod["metadata"]
        if is_alive and pod["spec"].get("nodeName") == name:
            disrupt(cluster, pod["metadata"]["name"], TAINTED)


def restore_node(cluster: MemoryCluster, name: str) -> None:
    """Its kubelet is back: it reports what happened and removes pods that were deleted in the meantime."""
    node = cluster.kubelet.nodes[name]
    node.ready = True
    updates, node.unreported = node.unreported, []
    for report in updates:
        report()
    cluster.kubelet.look_again()
    cluster.settle()


def stop_scheduling(cluster: MemoryCluster, message: str = "0/1 nodes: insufficient nvidia.com/gpu") -> None:
    cluster.kubelet.refusal = message


def resume_scheduling(cluster: MemoryCluster) -> None:
    cluster.kubelet.refusal = None
    cluster.kubelet.look_again()
    cluster.settle()


def set_suspended(
    cluster: MemoryCluster, job: str, suspended: bool, namespace: str = "default", pods: int | None = None
) -> None:
    """What Kueue does to the Job of a queued resource: admit (False) or preempt (True).

    pods: with how many a Job that allows it is admitted; None: all, or as many as when it was admitted last. Its size
    comes back when it is preempted.
    """

    def change(item: dict[str, Any]) -> None:
        if MIN_PARALLELISM in item["metadata"].get("annotations", {}):
            _resize(cluster, item, suspended, pods)
        item["spec"]["suspend"] = suspended
        item["metadata"].setdefault("annotations", {}).pop(STOPPING_ANNOTATION, None)
        labels = item["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})
        if suspended:
            labels.pop(QUEUE_PODSET, None)
        else:
            labels[QUEUE_PODSET] = "main"

    changed = cluster.store.update(ObjectKey("Job", namespace, job), change)
    if suspended:
        _suspend_owned_jobs(cluster, changed["metadata"]["uid"])
    cluster.settle()


def _resize(cluster: MemoryCluster, job: dict[str, Any], suspended: bool, pods: int | None) -> None:
    sizes: dict[str, int] = cluster.__dict__.setdefault("sizes", {})
    size = sizes.setdefault(job["metadata"]["uid"], job["spec"]["completions"])
    if suspended:
        pods = size
    if pods is not None and job["spec"].get("suspend", False) != suspended:
        job["spec"].update(parallelism=pods, completions=pods)


def _suspend_owned_jobs(cluster: MemoryCluster, owner: str) -> None:
    """Kueue suspends the Jobs of a Job that it evicts, and never resumes them."""
    for job in cluster.store.select("Job"):
        if any(reference["uid"] == owner for reference in job["metadata"].get("ownerReferences", ())):
            cluster.store.update(key_of(job), lambda item: item["spec"].update(suspend=True))


class QueueingCluster(MemoryCluster):
    """A cluster with Kueue: a Job that names a queue is created suspended; `set_suspended` admits it.

    resumes: whether Kueue is there to resume a Job that it has admitted and that somebody else has suspended.
    """

    resumes: bool = True

    async def patch_job(
        self, namespace: str, name: str, *, uid: str, change: Mapping[str, Any], subresource: JobSubresource = ""
    ) -> None:
        await super().patch_job(namespace, name, uid=uid, change=change, subresource=subresource)
        job = self.store.get("Job", namespace, name)
        if self.resumes and job is not None and job["spec"].get("suspend") and _is_admitted(job):
            set_suspended(self, name, suspended=False, namespace=namespace)

    async def create(self, manifest: Manifest) -> None:
        if manifest["kind"] == "Job" and QUEUE_NAME in manifest["metadata"]["labels"]:
            manifest = {**manifest, "spec": {**manifest["spec"], "suspend": True}}
        await super().create(manifest)


def _is_admitted(job: Manifest) -> bool:
    stopping = job["metadata"].get("annotations", {}).get(STOPPING_ANNOTATION) == "true"
    return not stopping and QUEUE_PODSET in job["spec"]["template"].get("metadata", {}).get("labels", {})


class LaggingView(ClusterView):
    """The operator's own cache, which receives nothing while `lags`: a test delivers, loses or repeats waiting events.

    MemoryCluster(runner, clock, view=LaggingView); it is then `cluster.view`. Each kind has its own watch, so events of
    one kind may be delivered before earlier ones of another.

    keeps_writes: whether the cache takes what the controller has written, as the operator's does.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lags = False
        self.keeps_writes = False
        self.waiting: deque[WatchEvent] = deque()
        self._cache = self._build_cache()

    def receive(self, event: WatchEvent) -> None:
        if self.lags:
            self.waiting.append(event)
        else:
            self.deliver(event)

    def deliver(self, event: WatchEvent) -> None:
        self._store(event)
        super().deliver(event)

    def note_written(self, manifest: Manifest) -> None:
        if self.keeps_writes:
            self._store(WatchEvent("MODIFIED", manifest))

    def deliver_next(self, kind: str | None = None) -> None:
        """Deliver the oldest waiting event, of this kind if there is one."""
        self.deliver(self._take(kind))

    def lose_next(self, kind: str | None = None) -> None:
        """Drop the oldest waiting event: the cache keeps the old object."""
        self._take(kind)

    def repeat_next(self, kind: str | None = None) -> None:
        """Deliver the oldest waiting event twice."""
        event = self._take(kind)
        self.deliver(event)
        self.deliver(event)

    def catch_up(self) -> None:
        """List again, as after a broken watch: the cache equals the store, and each object gives an event."""
        self.lags = False
        self.waiting.clear()
        known = {item["metadata"]["uid"]: (kind, item) for kind in WATCHED_KINDS for item in self._cache.iterate(kind)}
        for kind in ("DatasetGeneration", "TrainingRun", "Job", "Pod", "Service", "ConfigMap"):
            for item in self.store.select(kind):
                known.pop(item["metadata"]["uid"], None)
                self.deliver(WatchEvent("MODIFIED", item))
        for kind, gone in known.values():
            self.deliver(WatchEvent("DELETED", {**gone, "kind": kind}))

    def restart(self, hidden: str | None = None) -> None:
        """Begin with an empty cache and a list of everything, as another process does.

        hidden: a kind whose objects were made after the list: they wait as events.
        """
        self.waiting.clear()
        self._deleted.clear()
        self._cache = self._build_cache()
        for kind in WATCHED_KINDS:
            for item in self.store.select(kind):
                if kind == hidden:
                    self.lags = True
                    self.waiting.append(WatchEvent("ADDED", item))
                else:
                    self._cache.put(kind, item)

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        found = self._cache.get(_get_watched(kind), namespace, name)
        return None if found is None else copy_object(found)

    def select(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        children = self._cache.list_children(_get_watched(kind), namespace, labels[OWNER_UID])
        return [copy_object(item) for item in children]

    def list_deleted_pods(self, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        return self._cache.list_deleted_pods(namespace, labels[OWNER_UID])

    def _build_cache(self) -> ResourceCache:
        return ResourceCache(clock=lambda: self._clock.now().timestamp())

    def _store(self, event: WatchEvent) -> None:
        kind = event.manifest["kind"]
        if kind not in WATCHED_KINDS:
            return
        body = {**event.manifest, "metadata": {"namespace": "default", **event.manifest["metadata"]}}
        if event.type == "DELETED":
            self._cache.remove(kind, body)
        else:
            self._cache.put(kind, body)

    def _take(self, kind: str | None) -> WatchEvent:
        event = next((event for event in self.waiting if event.manifest["kind"] == kind), self.waiting[0])
        self.waiting.remove(event)
        return event


def _get_watched(kind: str) -> WatchedKind:
    return next(watched for watched in WATCHED_KINDS if watched == kind)
