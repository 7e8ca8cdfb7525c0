"""Queues of Kueue with room for two GPUs, and the runs that wait in them: pods without a kubelet, as the test says."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from deepsynth_api.labels import QUEUE_NAME, QUEUE_PRIORITY_CLASS, STEP
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_demo.chart import CLAIM
from e2e.support.api import Api, Manifest, wait_until
from e2e.support.fake_pods import INDEX, end_pod, start_pod
from e2e.support.resources import build_generation, build_run

KUEUE = "kueue.x-k8s.io/v1beta2"
QUEUE = "team"
GPUS = 2
CPUS = 8
SECONDS = 60
RACK = "example.com/rack"


def build_queues() -> list[Manifest]:
    """A ClusterQueue whose flavor changes pods, two LocalQueues of it, and two priorities."""
    quota = {"cpu": str(CPUS), "memory": "64Gi", "nvidia.com/gpu": str(GPUS)}
    resources = [{"name": name, "nominalQuota": amount} for name, amount in quota.items()]
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    spec = {
        "namespaceSelector": {},
        "preemption": {"withinClusterQueue": "LowerPriority"},
        "resourceGroups": [{"coveredResources": list(quota), "flavors": [{"name": "any", "resources": resources}]}],
    }
    return [
        _build("ResourceFlavor", "any", {"nodeLabels": {"kubernetes.io/os": "linux"}, "tolerations": [toleration]}),
        _build("ClusterQueue", "gpus", spec),
        *(build_queue(name) for name in (QUEUE, "other")),
        *(_build("WorkloadPriorityClass", name, value=value) for name, value in (("low", 1), ("high", 1000))),
    ]


def build_queue(name: str, of: str = "gpus") -> Manifest:
    """A LocalQueue of the ClusterQueue."""
    return _build("LocalQueue", name, {"clusterQueue": of})


def build_racks() -> list[Manifest]:
    """A queue whose pods Kueue places on nodes by their label RACK."""
    quota = [{"name": name, "nominalQuota": amount} for name, amount in (("cpu", "16"), ("memory", "64Gi"))]
    flavors = [{"name": "racks", "resources": quota}]
    groups = [{"coveredResources": [resource["name"] for resource in quota], "flavors": flavors}]
    levels = [{"nodeLabel": RACK}, {"nodeLabel": "kubernetes.io/hostname"}]
    return [
        _build("Topology", "racks", {"levels": levels}),
        _build("ResourceFlavor", "racks", {"nodeLabels": {"pool": "racks"}, "topologyName": "racks"}),
        _build("ClusterQueue", "racks", {"namespaceSelector": {}, "resourceGroups": groups}),
        build_queue("racks", of="racks"),
    ]


def _build(kind: str, name: str, spec: Any = None, **fields: Any) -> Manifest:
    return {"apiVersion": KUEUE, "kind": kind, "metadata": {"name": name}, **({"spec": spec} if spec else {}), **fields}


class Queues:
    """What a test does to the queues and to the runs in them."""

    def __init__(self, cluster: Cluster, api: Api) -> None:
        self._cluster, self.api = cluster, api
        self.create(*build_queues())

    @contextmanager
    def run(self, name: str, queue: str = QUEUE, priority: str = "", **spec: Any) -> Iterator["QueuedRun"]:
        """A run that needs all GPUs of the queue, until the block ends."""
        manifest = build_run(name, **spec)
        wanted = {QUEUE_NAME: queue, QUEUE_PRIORITY_CLASS: priority}
        labels = {key: value for key, value in wanted.items() if value}
        self.api.create({**manifest, "metadata": {**manifest["metadata"], "labels": labels}})
        try:
            yield QueuedRun(self.api, name)
        finally:
            self.api.delete("TrainingRun", name)

    @contextmanager
    def generation(self, name: str, queue: str = QUEUE, **spec: Any) -> Iterator["QueuedGeneration"]:
        """A generation whose two pods need all CPUs of the queue, until the block ends."""
        resources = {"requests": {"cpu": str(CPUS // 2), "memory": "128Mi"}}
        own = {"parallelism": 2, "template": {"resources": resources}, **spec}
        manifest = build_generation(name, f"pvc://{CLAIM}/{name}", **own)
        self.api.create({**manifest, "metadata": {**manifest["metadata"], "labels": {QUEUE_NAME: queue}}})
        try:
            yield QueuedGeneration(self.api, name)
        finally:
            self.api.delete("DatasetGeneration", name)

    def change(self, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        """Merge a patch into one of Kueue's objects."""
        command = ("-n", self.api.namespace, "patch", kind.lower(), name, "--type=merge", "-p", json.dumps(patch))
        self._cluster.kubectl(*command)

    @contextmanager
    def stopped(self, policy: str) -> Iterator[None]:
        """The ClusterQueue admits nothing (Hold), or also evicts what it has admitted (HoldAndDrain)."""
        self.change("ClusterQueue", "gpus", {"spec": {"stopPolicy": policy}})
        try:
            yield
        finally:
            self.change("ClusterQueue", "gpus", {"spec": {"stopPolicy": "None"}})

    def list_workloads(self, resource: "QueuedRun | QueuedGeneration") -> list[Manifest]:
        """The Workloads of all Jobs of the resource."""
        listed = self._cluster.kubectl("-n", self.api.namespace, "get", "workloads", "-o", "json").stdout
        items: list[Manifest] = json.loads(listed)["items"]
        jobs = {job["metadata"]["name"] for job in self.api.list_jobs(resource.get().metadata.uid)}
        return [item for item in items if item["metadata"]["ownerReferences"][0]["name"] in jobs]

    def create(self, *manifests: Manifest) -> None:
        """Apply more of Kueue's objects."""
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self._cluster.kubectl("-n", self.api.namespace, "apply", "-f", "-", input=items)

    def delete(self, kind: str, name: str) -> None:
        self._cluster.kubectl("-n", self.api.namespace, "delete", kind.lower(), name)


class QueuedRun:
    def __init__(self, api: Api, name: str) -> None:
        self.api, self.name = api, name

    def get(self) -> TrainingRun:
        return self.api.get_run(self.name)

    def list_pods(self) -> list[Manifest]:
        return [pod for pod in self.api.list_pods(self.get().metadata.uid) if _is_alive(pod)]

    def wait_for(self, state: str, reason: str = "") -> TrainingRun:
        def matches() -> TrainingRun | None:
            run = self.get()
            return run if run.status.state == state and reason in ("", run.status.summary.reason) else None

        found = wait_until(f"{self.name} to be {state} {reason}", matches, SECONDS, self.get)
        assert found is not None
        return found

    def wait_for_attempt(self, number: int) -> None:
        wait_until(f"attempt {number}", lambda: len(self.get().status.attempts) >= number, SECONDS, self.get)

    def start(self, count: int = GPUS) -> None:
        """Wait until the queue has admitted it with this many pods, and start them."""
        wait_until(f"{count} pods of {self.name}", lambda: len(self.list_pods()) == count, SECONDS)
        for pod in self.list_pods():
            start_pod(self.api, pod)
        number = len(self.get().status.attempts)
        wait_until(f"{self.name} to see its pods", lambda: self._runs(number), SECONDS, self.get)

    def end(self, exit_code: int = 0, *, index: int | None = None) -> None:
        """End the containers of its pods, or that of one."""
        for pod in self.list_pods():
            if index is None or pod["metadata"]["annotations"][INDEX] == str(index):
                end_pod(self.api, pod, exit_code)

    def _runs(self, number: int) -> bool:
        attempts = self.get().status.attempts
        return len(attempts) >= number and attempts[-1].running_time is not None


class QueuedGeneration:
    def __init__(self, api: Api, name: str) -> None:
        self.api, self.name = api, name

    def get(self) -> DatasetGeneration:
        return self.api.get_generation(self.name)

    def list_pods(self, step: str = "") -> list[Manifest]:
        pods = self.api.list_pods(self.get().metadata.uid)
        return [pod for pod in pods if _is_alive(pod) and step in ("", pod["metadata"]["labels"][STEP])]

    def wait_for(self, state: str, reason: str = "") -> DatasetGeneration:
        def matches() -> DatasetGeneration | None:
            generation = self.get()
            found = generation.status.state == state and reason in ("", generation.status.summary.reason)
            return generation if found else None

        found = wait_until(f"{self.name} to be {state} {reason}", matches, SECONDS, self.get)
        assert found is not None
        return found

    def start(self, step: str, pods: int) -> None:
        """Wait until the step has this many pods, and start them."""
        wait_until(f"{pods} pods of {self.name}: {step}", lambda: len(self.list_pods(step)) == pods, SECONDS, self.get)
        for pod in self.list_pods(step):
            start_pod(self.api, pod)

    def end(self, step: str, pods: int) -> None:
        """Start and end pods of the step until this many have succeeded."""
        for _ in range(pods):
            wait_until(f"a pod of {self.name}: {step}", lambda: self.list_pods(step), SECONDS, self.get)
            pod = self.list_pods(step)[0]
            start_pod(self.api, pod)
            end_pod(self.api, pod, 0)


def _is_alive(pod: Manifest) -> bool:
    alive = pod["status"].get("phase", "Pending") in {"Pending", "Running"}
    return alive and "deletionTimestamp" not in pod["metadata"]
