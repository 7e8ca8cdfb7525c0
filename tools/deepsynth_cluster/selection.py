"""Which cluster the tests run on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepsynth_cluster.bare import BareCluster
from deepsynth_cluster.cache import cache_folder, locked
from deepsynth_cluster.existing import ExistingCluster
from deepsynth_cluster.interface import Cluster
from deepsynth_cluster.kind import KindCluster, docker_answers
from deepsynth_cluster.waiting import wait_until

NAME = "deepsynth"
NODES = 2


@contextmanager
def provide_cluster() -> Iterator[Cluster]:
    """Yield the cluster of KUBECONFIG, else one by kind where Docker is, else a bare one.

    What a person brought up stays up; what was made for this is taken down.
    """
    given = os.environ.get("DEEPSYNTH_E2E_KUBECONFIG") or os.environ.get("KUBECONFIG")
    if given:
        yield _cluster_of(Path(given).resolve())
        return
    cluster = KindCluster(NAME) if docker_answers() else BareCluster(NAME)
    if cluster.is_up and not _is_marked(NAME):
        wait_until(lambda: cluster.is_well, f"cluster {NAME} is well: if it cannot be, take it down")
        yield cluster
        return
    with _temporary(cluster, NODES):
        yield cluster


@contextmanager
def temporary_cluster(name: str, nodes: int) -> Iterator[BareCluster]:
    """Yield a new bare cluster of this name, whatever a run that was killed has left of it."""
    cluster = BareCluster(name)
    with _temporary(cluster, nodes):
        yield cluster


@contextmanager
def _temporary(cluster: BareCluster | KindCluster, nodes: int) -> Iterator[None]:
    """Another run that wants a cluster of this name waits for the end of this one.

    The mark tells what a killed run has left from what a person wants to keep.
    """
    mark = _mark(cluster.name)
    with locked(mark):
        cluster.down()
        mark.write_text("made by tests")
        try:
            cluster.up(nodes)
            yield
        finally:
            cluster.down()
            mark.write_text("")


def _mark(name: str) -> Path:
    return cache_folder("clusters") / f"{name}.tests"


def _is_marked(name: str) -> bool:
    return _mark(name).exists() and _mark(name).read_text() != ""


def _cluster_of(kubeconfig: Path) -> Cluster:
    """A bare cluster is ours to break, also when it is given by its kubeconfig."""
    if kubeconfig.parent.parent == cache_folder("clusters") and (kubeconfig.parent / "machines").exists():
        return BareCluster(kubeconfig.parent.name)
    return ExistingCluster(kubeconfig)
