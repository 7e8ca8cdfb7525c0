"""An API server that knows both kinds, with nobody behind it: what it says is what it says by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepsynth_cluster.clients import Clients
from deepsynth_cluster.selection import temporary_cluster

CRDS = Path(__file__).parents[2] / "crds"


@contextmanager
def provide_api_server() -> Iterator[Clients]:
    """One of its own, so that no operator changes what a test has written."""
    with temporary_cluster("api-server", nodes=0) as cluster:
        cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", str(CRDS))
        yield cluster
