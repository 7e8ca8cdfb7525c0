"""After any kill during rendering, the published files are those of an undisturbed generation."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_cluster.clusters.interface import Faults
from deepsynth_demo.chart import CLAIM
from e2e.support.hub.hub_in_cluster import Hub
from e2e.support.installation import Installation
from e2e.support.lives import hash_file
from e2e.support.resources import build_generation

END_SECONDS = 600
OUTAGE_SECONDS = 60
MANY_SHARDS: dict[str, Any] = {"rowsPerShard": 6, "parallelism": 2, "backoffLimitPerIndex": 1}
"""Many small shards, so that one is always being rendered."""
OUT_OF_MEMORY_ONCE = f"""\
import os
from pathlib import Path

marker = Path("/mnt/volumes/{CLAIM}/ran-out-of-memory")
if os.environ.get("JOB_COMPLETION_INDEX") == "1" and not marker.exists():
    marker.touch()
    bytearray(4 << 30)
"""


def wait_for(
    installation: Installation, name: str, what: str, check: Callable[[DatasetGeneration], bool]
) -> DatasetGeneration:
    return installation.wait_for_generation(name, check, END_SECONDS, what)


def is_complete(generation: DatasetGeneration) -> bool:
    return generation.status.state == "Complete"


def count_done(generation: DatasetGeneration) -> int:
    return generation.status.progress.shards_done if generation.status.progress else 0


def hash_shards(installation: Installation, folder: str) -> dict[str, str]:
    """sha256 of every published parquet file, by its path."""
    root = installation.volume / folder
    return {str(path.relative_to(root)): hash_file(path) for path in sorted(root.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def expected(installation: Installation) -> dict[str, str]:
    """The shards of an undisturbed generation."""
    installation.restore()
    installation.api.create(build_generation("calm", f"pvc://{CLAIM}/calm", **MANY_SHARDS))
    wait_for(installation, "calm", "its end", is_complete)
    shards = hash_shards(installation, "calm")
    assert len(shards) > 8
    return shards


def test_a_shard_that_runs_out_of_memory_once_is_rendered_again(installation: Installation) -> None:
    installation.apply_config_map("out-of-memory", {"sitecustomize.py": OUT_OF_MEMORY_ONCE})
    template = {
        "resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "128Mi"}},
        "env": [{"name": "PYTHONPATH", "value": "/opt/fault"}],
        "volumes": [{"name": "fault", "configMap": {"name": "out-of-memory"}, "mountPath": "/opt/fault"}],
    }
    installation.api.create(build_generation("oom", f"pvc://{CLAIM}/oom", template=template, backoffLimitPerIndex=1))
    generation = wait_for(installation, "oom", "its end", is_complete)
    failure = generation.status.last_failure
    assert failure is not None
    assert (failure.step, failure.index, failure.reason, failure.exit_code) == ("render", 1, "OutOfMemory", 137)
    assert "resources.limits.memory" in failure.message
    assert hash_shards(installation, "oom") == hash_shards(installation, "pages")


@pytest.mark.slow
def test_a_generation_survives_the_loss_of_a_node(
    installation: Installation, faults: Faults, expected: dict[str, str]
) -> None:
    name, node = "lost-node", installation.cluster.nodes[1]
    installation.api.create(build_generation(name, f"pvc://{CLAIM}/{name}", **MANY_SHARDS))
    generation = wait_for(installation, name, "some shards", lambda item: count_done(item) >= 2)
    uid = generation.metadata.uid

    def is_at_work() -> bool:
        pods = installation.api.list_pods(uid)
        return any(pod["spec"].get("nodeName") == node and pod["status"]["phase"] == "Running" for pod in pods)

    wait_for(installation, name, "a pod on the node", lambda item: is_at_work() or is_complete(item))
    faults.stop_node(node)
    try:
        lost = wait_for(installation, name, "its end without the node", is_complete)
    finally:
        faults.start_node(node)
    assert hash_shards(installation, name) == expected
    assert lost.status.last_failure is None, "a lost node is no failure"


@pytest.mark.slow
def test_a_generation_waits_for_a_hub_that_is_down_for_a_minute(installation: Installation, hub: Hub) -> None:
    name, repository = "hub-away", "deepsynth/pages-hub-away"
    hub.create_secret(installation.api.namespace, name, repository)
    installation.api.create(build_generation(name, f"hf://datasets/{repository}", secret=name, **MANY_SHARDS))
    wait_for(installation, name, "some shards", lambda item: count_done(item) >= 1)
    hub.stop()
    try:
        time.sleep(OUTAGE_SECONDS)
    finally:
        hub.start()
    generation = wait_for(installation, name, "its end", is_complete)
    calm = installation.api.get_generation("pages").status.output
    published = generation.status.output
    assert published is not None
    assert calm is not None
    assert (published.rows, published.pages) == (calm.rows, calm.pages)
