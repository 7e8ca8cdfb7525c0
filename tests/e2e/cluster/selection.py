"""Which cluster the tests run on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster.bare import BareCluster
from e2e.cluster.cache import cache_folder
from e2e.cluster.existing import ExistingCluster
from e2e.cluster.interface import Cluster
from e2e.cluster.kind import KindCluster, docker_answers

NAME = "deepsynth"
NODES = 2


@contextmanager
def provide_cluster() -> Iterator[Cluster]:
    """Yield the cluster of KUBECONFIG, else one by kind where Docker is, else a bare one.

    What was up before stays up; what was made for this is taken down.
    """
    given = os.environ.get("DEEPSYNTH_E2E_KUBECONFIG") or os.environ.get("KUBECONFIG")
    if given:
        yield _cluster_of(Path(given).resolve())
        return
    cluster = KindCluster(NAME) if docker_answers() else BareCluster(NAME)
    was_up = cluster.is_up
    cluster.up(NODES)
    try:
        yield cluster
    finally:
        if not was_up:
            cluster.down()


def _cluster_of(kubeconfig: Path) -> Cluster:
    """A bare cluster is ours to break, also when it is given by its kubeconfig."""
    if kubeconfig.parent.parent == cache_folder("clusters") and (kubeconfig.parent / "machines").exists():
        return BareCluster(kubeconfig.parent.name)
    return ExistingCluster(kubeconfig)
