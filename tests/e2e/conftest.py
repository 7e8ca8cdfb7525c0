"""The cluster of the tests, once per session."""

from collections.abc import Iterator

import pytest

from e2e.cluster.interface import Cluster
from e2e.cluster.selection import provide_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with provide_cluster() as provided:
        yield provided
