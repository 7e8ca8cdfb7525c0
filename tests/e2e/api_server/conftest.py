"""An API server that knows both kinds. No controller of DeepSynth changes what a test has written there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.selection import temporary_cluster

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def api_server() -> Iterator[BareCluster]:
    with temporary_cluster("api-server", nodes=0) as cluster:
        cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", str(CRDS))
        yield cluster
