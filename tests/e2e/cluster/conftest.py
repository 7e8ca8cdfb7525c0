"""Two nodes on which no operator runs: these tests break them, and look at what Kubernetes does by itself."""

from collections.abc import Iterator

import pytest

from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_cluster.clusters.selection import provide_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with provide_cluster("plain") as provided:
        yield provided
