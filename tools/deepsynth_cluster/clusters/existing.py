"""A cluster that the user provides by its kubeconfig."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from deepsynth_cluster.clusters.clients import Clients
from deepsynth_cluster.errors import ClusterError
from deepsynth_cluster.images.archives import read_images

VOLUMES = "DEEPSYNTH_E2E_VOLUMES"


class ExistingCluster(Clients):
    """It belongs to the user: tests neither break it nor take it down, and the user loads the images."""

    faults = None

    def __init__(self, kubeconfig: Path) -> None:
        self.name = "existing"
        self.kubeconfig = kubeconfig
        self.nodes = tuple(sorted(self.ready_nodes()))
        if not self.nodes:
            raise ClusterError(f"{kubeconfig}: no node of this cluster is Ready, or it does not answer")

    @property
    def volumes(self) -> Path:
        folder = os.environ.get(VOLUMES)
        if not folder:
            raise ClusterError(f"set {VOLUMES} to a folder that all nodes of this cluster share, under the same path")
        return Path(folder)

    def load_image(self, archive: Path, nodes: Sequence[str] | None = None) -> None:
        """Check that the user has loaded the images."""
        wanted = {name for image in read_images(archive) for name in image.names}
        for node in self.nodes if nodes is None else nodes:
            status = json.loads(self.kubectl("get", "node", node, "-o", "json").stdout)["status"]
            present = {name for image in status.get("images") or [] for name in image.get("names") or []}
            if missing := wanted - present:
                raise ClusterError(f"node {node} lacks {', '.join(sorted(missing))}: load it there from {archive}")
