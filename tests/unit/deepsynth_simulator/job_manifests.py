"""Small Jobs, ConfigMaps and a simulated cluster to run them in."""

import asyncio
from typing import Any

from deepsynth_api.labels import owner_selector
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, find_true_condition
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.pod_fields import get_index
from support.clocks.manual_clock import ManualClock
from support.cluster.scripted_runner import ScriptedRunner

ON_DISRUPTION = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
ON_PERMANENT = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [64, 65, 70]}}
TRAINING_RULES = [ON_DISRUPTION, ON_PERMANENT]
RENDER_RULES = [
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [143]}},
    {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [64, 65]}},
]


def build_job(name: str = "job", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default", "labels": {"deepsynth.io/owner-uid": "owner"}},
        "spec": {"completionMode": "Indexed", "template": template, **spec},
    }


def a_training_job(pods: int = 2, **spec: Any) -> dict[str, Any]:
    """With the policies of manifests/train_job.py."""
    policy = {"rules": TRAINING_RULES}
    fixed = {"completions": pods, "parallelism": pods, "backoffLimit": 0, "podReplacementPolicy": "Failed"}
    return build_job(**{**fixed, "podFailurePolicy": policy, **spec})


def a_render_job(shards: int = 3, **spec: Any) -> dict[str, Any]:
    """With the policies of manifests/render_job.py."""
    policy = {"rules": RENDER_RULES}
    fixed = {"completions": shards, "parallelism": shards, "backoffLimitPerIndex": 1, "podReplacementPolicy": "Failed"}
    return build_job(**{**fixed, "podFailurePolicy": policy, **spec})


def own(manifest: dict[str, Any], uid: str) -> dict[str, Any]:
    """Make `manifest` a child of the resource with this uid."""
    metadata = {
        **manifest["metadata"],
        "labels": owner_selector(uid),
        "ownerReferences": [{"kind": "TrainingRun", "name": "read-xsum", "uid": uid}],
    }
    template = {**manifest["spec"]["template"], "metadata": {"labels": owner_selector(uid)}}
    return {**manifest, "metadata": metadata, "spec": {**manifest["spec"], "template": template}}


def a_config_map(name: str = "job", uid: str = "owner") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "labels": owner_selector(uid)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"workload.json": "{}"}}


class Fixture:
    """A cluster whose clock and containers the test controls."""

    def __init__(self, runner: ScriptedRunner | None = None, **options: Any) -> None:
        self.clock, self.runner = ManualClock(), runner or ScriptedRunner()
        self.cluster = MemoryCluster(self.runner, self.clock, **options)

    def create(self, manifest: dict[str, Any]) -> None:
        asyncio.run(self.cluster.create(manifest))

    def get_job(self, name: str = "job") -> Any:
        return self.cluster.store.get("Job", "default", name)

    def get_status(self, name: str = "job") -> Any:
        return self.get_job(name)["status"]

    def get_end(self, name: str = "job") -> tuple[str, str] | None:
        """Type and reason of the Job's final condition."""
        for kind in ("Complete", "Failed"):
            found = find_true_condition(self.get_job(name), kind)
            if found:
                return kind, found["reason"]
        return None

    def get_indexes(self) -> list[int]:
        """Indexes of the pods that have not ended."""
        pods = self.cluster.store.select("Pod")
        return sorted(get_index(pod) for pod in pods if pod["status"]["phase"] in {"Pending", "Running"})

    def get_pod(self, index: int) -> Any:
        """The newest pod of an index."""
        label = {COMPLETION_INDEX_ANNOTATION: str(index)}
        return self.cluster.store.select("Pod", "default", label)[-1]
