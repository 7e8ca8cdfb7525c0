"""What happens to a cluster from outside: evictions, lost nodes, users who delete pods, Kueue, lagging caches.

Each function does to a MemoryCluster what the real thing was seen to do to a real one.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from deepsynth_api.labels import QUEUE_NAME
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.cluster_view import ClusterView
from deepsynth_simulator.kubelet import set_pod_condition
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import Object, WatchEvent, copy_object, key_of

EVICTED = "EvictionByEvictionAPI"
PREEMPTED = "PreemptionByScheduler"
TAINTED = "DeletionByTaintManager"


def find_pods(cluster: MemoryCluster, prefix: str = "") -> list[Object]:
    """Pods whose names begin so, by name."""
    pods = [pod for pod in cluster.store.select("Pod") if pod["metadata"]["name"].startswith(prefix)]
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def find_pod(cluster: MemoryCluster, prefix: str) -> Object:
    """The only living pod whose name begins so."""
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
    """Its kubelet falls silent: pods stay as they were last seen, whatever their processes do."""
    cluster.kubelet.nodes[name].ready = False


def taint_node(cluster: MemoryCluster, name: str) -> None:
    """What happens to the pods of a lost node after their toleration: marked and deleted, but still there."""
    for pod in find_pods(cluster):
        is_alive = pod["status"]["phase"] in {"Pending", "Running"} and "deletionTimestamp" not in pod["metadata"]
        if is_alive and pod["spec"].get("nodeName") == name:
            disrupt(cluster, pod["metadata"]["name"], TAINTED)


def restore_node(cluster: MemoryCluster, name: str) -> None:
    """Its kubelet is back: it tells what it missed and ends what was deleted meanwhile."""
    node = cluster.kubelet.nodes[name]
    node.ready = True
    missed, node.missed = node.missed, []
    for tell in missed:
        tell()
    cluster.kubelet.look_again()
    cluster.settle()


def stop_scheduling(cluster: MemoryCluster, message: str = "0/1 nodes: insufficient nvidia.com/gpu") -> None:
    cluster.kubelet.refusal = message


def resume_scheduling(cluster: MemoryCluster) -> None:
    cluster.kubelet.refusal = None
    cluster.kubelet.look_again()
    cluster.settle()


def set_suspended(cluster: MemoryCluster, job: str, suspended: bool, namespace: str = "default") -> None:
    """What Kueue does to the Job of a queued resource: admit (False) or preempt (True)."""
    cluster.store.update(("Job", namespace, job), lambda item: item["spec"].update(suspend=suspended))
    cluster.settle()


class QueueingCluster(MemoryCluster):
    """With Kueue: a Job that names a queue is suspended at its creation; `set_suspended` admits it."""

    async def create(self, manifest: Manifest) -> None:
        if manifest["kind"] == "Job" and QUEUE_NAME in manifest["metadata"]["labels"]:
            manifest = {**manifest, "spec": {**manifest["spec"], "suspend": True}}
        await super().create(manifest)


class LaggingView(ClusterView):
    """A cache that is behind while `lags`: events wait until they are delivered, lost or repeated.

    MemoryCluster(runner, clock, view=LaggingView); it is then `cluster.view`.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lags = False
        self.waiting: deque[WatchEvent] = deque()
        self._cache: dict[tuple[str, str, str], Object] = {}

    def receive(self, event: WatchEvent) -> None:
        if self.lags:
            self.waiting.append(event)
        else:
            self.deliver(event)

    def deliver(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._cache.pop(key_of(event.manifest), None)
        else:
            self._cache[key_of(event.manifest)] = event.manifest
        super().deliver(event)

    def deliver_next(self) -> None:
        """Let the oldest waiting event through."""
        self.deliver(self.waiting.popleft())

    def lose_next(self) -> None:
        """The oldest waiting event never comes: its object stays as the cache has it."""
        self.waiting.popleft()

    def repeat_next(self) -> None:
        """Let the oldest waiting event through twice."""
        self.deliver(self.waiting[0])
        self.deliver_next()

    def catch_up(self) -> None:
        """Relist: the cache is as the store, and everything is told again, as after a broken watch."""
        self.lags = False
        self.waiting.clear()
        known, self._cache = self._cache, {}
        for kind in ("DatasetGeneration", "TrainingRun", "Job", "Pod", "Service", "ConfigMap"):
            for item in self.store.select(kind):
                known.pop(key_of(item), None)
                self.deliver(WatchEvent("MODIFIED", item))
        for gone in known.values():
            self.deliver(WatchEvent("DELETED", gone))

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        found = self._cache.get((kind, namespace, name))
        return None if found is None else copy_object(found)

    def select(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        return [
            copy_object(item)
            for key, item in self._cache.items()
            if key[:2] == (kind, namespace) and labels.items() <= item["metadata"].get("labels", {}).items()
        ]
