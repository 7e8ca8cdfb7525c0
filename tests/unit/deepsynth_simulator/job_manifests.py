"""Small Jobs and the cluster they run in, for tests of the in-memory Cluster."""

import asyncio
from typing import Any

from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, find_true_condition
from deepsynth_simulator.job_sync import get_index
from deepsynth_simulator.memory_cluster import MemoryCluster
from support.manual_clock import ManualClock
from support.scripted_runner import ScriptedRunner

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
    """As manifests/train_job.py builds them."""
    policy = {"rules": TRAINING_RULES}
    fixed = {"completions": pods, "parallelism": pods, "backoffLimit": 0, "podReplacementPolicy": "Failed"}
    return build_job(**{**fixed, "podFailurePolicy": policy, **spec})


def a_render_job(shards: int = 3, **spec: Any) -> dict[str, Any]:
    """As manifests/render_job.py builds them."""
    policy = {"rules": RENDER_RULES}
    fixed = {"completions": shards, "parallelism": shards, "backoffLimitPerIndex": 1, "podReplacementPolicy": "Failed"}
    return build_job(**{**fixed, "podFailurePolicy": policy, **spec})


class Fixture:
    """A cluster with a clock and a runner that the test moves."""

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
