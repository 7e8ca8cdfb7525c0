"""DeepSynth on a test cluster and the namespace of its users, in the state that a test expects to find."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepsynth_api.kinds import KINDS
from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_demo.chart import apply_all, prepare_users
from e2e.support.api import Api, wait_until
from e2e.support.lives import ENDED, describe

USER_NAMESPACE = "ml"
READY_SECONDS = 60


@dataclass(frozen=True)
class Installation:
    cluster: Cluster
    api: Api
    """In the users' namespace."""
    volume: Path
    """What the claim of the users' namespace holds, as this machine sees it."""

    @classmethod
    def prepare(cls, cluster: Cluster, namespace: str = USER_NAMESPACE) -> "Installation":
        """Create the users' namespace and its volume."""
        volume = prepare_users(cluster, namespace)
        return cls(cluster, Api(cluster.kubeconfig, namespace), volume)

    def apply(self, *manifests: dict[str, Any]) -> None:
        apply_all(self.cluster, self.api.namespace, *manifests)

    def apply_config_map(self, name: str, data: dict[str, str]) -> None:
        self.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})

    def wait_for_generation(
        self, name: str, check: Callable[[DatasetGeneration], bool], seconds: float, what: str = "its end"
    ) -> DatasetGeneration:
        """The generation once `check` holds. Raises AssertionError as soon as it fails without."""

        def look() -> DatasetGeneration | None:
            generation = self.api.get_generation(name)
            if check(generation):
                return generation
            assert generation.status.state != "Failed", describe(generation)
            return None

        found = wait_until(f"{name}: {what}", look, seconds, lambda: describe(self.api.get_generation(name)))
        assert found is not None
        return found

    def restore(self) -> None:
        """Undo what an earlier test has left: wait until all nodes are Ready, delete resources that have not ended."""
        restore_nodes(self.cluster)
        for kind in KINDS:
            for item in self.api.list_resources(kind):
                if item.get("status", {}).get("state") not in ENDED:
                    self._delete(kind, item["metadata"]["name"], item["metadata"]["uid"])

    def _delete(self, kind: str, name: str, uid: str) -> None:
        self.api.delete(kind, name)
        self.wait_for_no_pods(name, uid)

    def wait_for_no_pods(self, name: str, uid: str) -> None:
        """Until no pod of this resource exists."""
        wait_until(f"the pods of {name} to be deleted", lambda: not self.api.list_pods(uid), 2 * READY_SECONDS)


def restore_nodes(cluster: Cluster) -> None:
    """Wait until all nodes are Ready, and start those that do not become so by themselves."""

    def find_lost() -> set[str]:
        return set(cluster.nodes) - cluster.ready_nodes()

    try:
        wait_until("the nodes to be Ready", lambda: not find_lost(), READY_SECONDS)
    except AssertionError:
        if cluster.faults is None:
            raise
        for node in find_lost():
            cluster.faults.start_node(node)
