"""What a test that failed has broken or left at work is not for the next one to wait for."""

from deepsynth_cluster.interface import Cluster
from e2e.api import PLURALS, Api, wait_until
from e2e.installation import Installation
from e2e.lives import ENDED

PATIENCE_SECONDS = 60


def restore(installation: Installation) -> None:
    """All nodes Ready, and nothing unfinished that would hold their GPUs."""
    mend_nodes(installation.cluster)
    for kind in PLURALS:
        for item in installation.api.list_resources(kind):
            if item.get("status", {}).get("state") not in ENDED:
                _delete(installation.api, kind, item["metadata"]["name"], item["metadata"]["uid"])


def _delete(api: Api, kind: str, name: str, uid: str) -> None:
    api.delete(kind, name)
    wait_until(f"the pods of {name} to go", lambda: not api.list_pods(uid), 2 * PATIENCE_SECONDS)


def mend_nodes(cluster: Cluster) -> None:
    """Start the nodes that do not become Ready by themselves. Fails where that is not ours to do."""

    def find_lost() -> set[str]:
        return set(cluster.nodes) - cluster.ready_nodes()

    try:
        wait_until("the nodes to be Ready", lambda: not find_lost(), PATIENCE_SECONDS)
    except AssertionError:
        if cluster.faults is None:
            raise
        for node in find_lost():
            cluster.faults.start_node(node)
