"""Chooses the cluster that tests run on, and makes temporary ones."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.existing import ExistingCluster
from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_cluster.clusters.kind import KindCluster, docker_answers
from deepsynth_cluster.commands import wait_until
from deepsynth_host.cache import cache_folder, locked

NAME = "deepsynth"
NODES = 2


@contextmanager
def provide_cluster(name: str = NAME) -> Iterator[Cluster]:
    """The cluster of KUBECONFIG, else one made by kind where Docker answers, else a bare one of this name.

    A cluster that the user brought up stays up. One that is made here is taken down at the end.
    """
    given = find_given()
    if given:
        yield _cluster_of(given)
        return
    cluster = KindCluster(name) if docker_answers() else BareCluster(name)
    if cluster.is_up and not _is_marked(name):
        wait_until(lambda: cluster.is_healthy, f"cluster {name} is healthy (if it never is, take it down)")
        yield cluster
        return
    with _temporary(cluster, NODES):
        yield cluster


def find_given(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The kubeconfig of the cluster that the user wants to use, if any."""
    given = environment.get("DEEPSYNTH_E2E_KUBECONFIG") or environment.get("KUBECONFIG")
    return Path(given).resolve() if given else None


@contextmanager
def temporary_cluster(name: str, nodes: int) -> Iterator[BareCluster]:
    """A new bare cluster of this name. What a killed run has left of it is removed first."""
    cluster = BareCluster(name)
    with _temporary(cluster, nodes):
        yield cluster


@contextmanager
def _temporary(cluster: BareCluster | KindCluster, nodes: int) -> Iterator[None]:
    """Another run that wants a cluster of this name waits until this one ends.

    The mark distinguishes what a killed run has left from what a user wants to keep.
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
    """A bare cluster may be broken by tests, even when it is given by its kubeconfig."""
    if kubeconfig.parent.parent == cache_folder("clusters") and (kubeconfig.parent / "machines").exists():
        return BareCluster(kubeconfig.parent.name)
    return ExistingCluster(kubeconfig)
