"""Queues of Kueue with room for two GPUs, and the runs that wait in them: pods without a kubelet, as the test says."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from deepsynth_api.labels import QUEUE_NAME, QUEUE_PRIORITY_CLASS
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_cluster.clusters.interface import Cluster
from e2e.support.api import Api, Manifest, wait_until
from e2e.support.fake_pods import INDEX, end_pod, start_pod
from e2e.support.resources import build_run

KUEUE = "kueue.x-k8s.io/v1beta2"
QUEUE = "team"
GPUS = 2
SECONDS = 60


def build_queues() -> list[Manifest]:
    """A ClusterQueue whose flavor changes pods, two LocalQueues of it, and two priorities."""
    quota = {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": str(GPUS)}
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
        *(_build("LocalQueue", name, {"clusterQueue": "gpus"}) for name in (QUEUE, "other")),
        *(_build("WorkloadPriorityClass", name, value=value) for name, value in (("low", 1), ("high", 1000))),
    ]


def _build(kind: str, name: str, spec: Any = None, **fields: Any) -> Manifest:
    return {"apiVersion": KUEUE, "kind": kind, "metadata": {"name": name}, **({"spec": spec} if spec else {}), **fields}


class Queues:
    """What a test does to the queues and to the runs in them."""

    def __init__(self, cluster: Cluster, api: Api) -> None:
        self._cluster, self.api = cluster, api
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": build_queues()})
        cluster.kubectl("-n", api.namespace, "apply", "-f", "-", input=items)

    @contextmanager
    def run(self, name: str, queue: str = QUEUE, priority: str = "", **spec: Any) -> Iterator["QueuedRun"]:
        """A run that needs all GPUs of the queue, until the block ends."""
        manifest = build_run(name, **spec)
        labels = {QUEUE_NAME: queue, **({QUEUE_PRIORITY_CLASS: priority} if priority else {})}
        self.api.create({**manifest, "metadata": {**manifest["metadata"], "labels": labels}})
        try:
            yield QueuedRun(self.api, name)
        finally:
            self.api.delete("TrainingRun", name)

    def change(self, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        """Merge a patch into one of Kueue's objects."""
        command = ("-n", self.api.namespace, "patch", kind.lower(), name, "--type=merge", "-p", json.dumps(patch))
        self._cluster.kubectl(*command)

    def list_workloads(self, run: "QueuedRun") -> list[Manifest]:
        """The Workloads of all Jobs of the run."""
        listed = self._cluster.kubectl("-n", self.api.namespace, "get", "workloads", "-o", "json").stdout
        jobs = {attempt.job for attempt in run.get().status.attempts}
        items: list[Manifest] = json.loads(listed)["items"]
        return [item for item in items if item["metadata"]["ownerReferences"][0]["name"] in jobs]


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

    def start(self) -> None:
        """Wait until the queue has admitted it, and start its pods."""
        wait_until(f"two pods of {self.name}", lambda: len(self.list_pods()) == GPUS, SECONDS)
        for pod in self.list_pods():
            start_pod(self.api, pod)
        number = len(self.get().status.attempts)
        wait_until(f"{self.name} to see its pods", lambda: self._runs(number), SECONDS)

    def end(self, exit_code: int = 0, *, index: int | None = None) -> None:
        """End the containers of its pods, or that of one."""
        for pod in self.list_pods():
            if index is None or pod["metadata"]["annotations"][INDEX] == str(index):
                end_pod(self.api, pod, exit_code)

    def _runs(self, number: int) -> bool:
        attempts = self.get().status.attempts
        return len(attempts) >= number and attempts[-1].running_time is not None


def _is_alive(pod: Manifest) -> bool:
    alive = pod["status"].get("phase", "Pending") in {"Pending", "Running"}
    return alive and "deletionTimestamp" not in pod["metadata"]
