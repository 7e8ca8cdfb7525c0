"""A cluster that was there before the tests."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from deepsynth_cluster.archives import read_images
from deepsynth_cluster.cache import ClusterError
from deepsynth_cluster.clients import Clients

VOLUMES = "DEEPSYNTH_E2E_VOLUMES"


class ExistingCluster(Clients):
    """Nothing of it is ours: it is neither broken nor taken down, and its owner brings images to it."""

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
        """Check that the images are there."""
        wanted = {name for image in read_images(archive) for name in image.names}
        for node in self.nodes if nodes is None else nodes:
            status = json.loads(self.kubectl("get", "node", node, "-o", "json").stdout)["status"]
            there = {name for image in status.get("images") or [] for name in image.get("names") or []}
            if missing := wanted - there:
                raise ClusterError(f"node {node} lacks {', '.join(sorted(missing))}: load it there from {archive}")
