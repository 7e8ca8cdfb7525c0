"""Two replicas of the chart on two nodes: a killed pod, a rollout and a drain hand over, and nothing is done twice."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_cluster.clusters.selection import temporary_cluster
from deepsynth_demo.chart import RELEASE, SYSTEM_NAMESPACE, build_values, install, upgrade
from deepsynth_images.build import build_image
from deepsynth_images.recipe import CPU
from e2e.support.api import wait_until
from e2e.support.installation import Installation
from e2e.support.resources import PAGES, build_generation

pytestmark = pytest.mark.slow
READY_SECONDS = 120.0
TAKEOVER_SECONDS = 30.0
"""The goal is 15; a test machine is busy."""


@pytest.fixture
def team() -> Iterator[tuple[Installation, dict[str, Any]]]:
    image = build_image(CPU)
    with temporary_cluster("replicas", nodes=2) as cluster:
        cluster.load_image(image.path)
        installation = Installation.prepare(cluster)
        values = build_values(image.reference, image.reference) | {"replicas": 2}
        install(cluster, values)
        yield installation, values


def read_holder(cluster: Cluster) -> str:
    """The pod that leads; "" if none does."""
    found = cluster.kubectl("get", "lease", RELEASE, "-n", SYSTEM_NAMESPACE, "-o", "json", check=False).stdout
    holder: str = json.loads(found)["spec"]["holderIdentity"] if found else ""
    return holder.partition("_")[0]


def list_operators(cluster: Cluster) -> dict[str, str]:
    """The operator's pods that are ready, with their nodes."""
    arguments = ("get", "pods", "-n", SYSTEM_NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "json")
    items = json.loads(cluster.kubectl(*arguments).stdout)["items"]
    return {
        item["metadata"]["name"]: item["spec"]["nodeName"]
        for item in items
        if "deletionTimestamp" not in item["metadata"]
        and any(status["ready"] for status in item["status"].get("containerStatuses", []))
    }


def wait_for_another(cluster: Cluster, leader: str) -> str:
    wait_until("another leader", lambda: read_holder(cluster) not in {"", leader}, TAKEOVER_SECONDS)
    return read_holder(cluster)


def test_a_killed_a_replaced_and_a_drained_leader_hand_over(team: tuple[Installation, dict[str, Any]]) -> None:
    installation, values = team
    cluster, api = installation.cluster, installation.api
    wait_until("both operators to be ready", lambda: len(list_operators(cluster)) == 2, READY_SECONDS)
    assert set(list_operators(cluster).values()) == set(cluster.nodes), "one on each node"
    leader = read_holder(cluster)
    api.create(build_generation("pages", PAGES))
    installation.wait_for_generation("pages", lambda item: bool(item.status.jobs), 120, "its first Job")
    cluster.kubectl("delete", "pod", leader, "-n", SYSTEM_NAMESPACE, "--force", "--grace-period=0")
    leader = wait_for_another(cluster, leader)
    upgrade(cluster, {**values, "logging.format": "json"})
    leader = wait_for_another(cluster, leader)
    wait_until("both operators to be ready", lambda: len(list_operators(cluster)) == 2, READY_SECONDS)
    cluster.kubectl(
        "drain",
        list_operators(cluster)[read_holder(cluster)],
        "--ignore-daemonsets",
        "--force",
        "--timeout=120s",
        "--delete-emptydir-data",
    )
    wait_for_another(cluster, leader)
    for node in cluster.nodes:
        cluster.kubectl("uncordon", node)
    done = installation.wait_for_generation("pages", lambda item: item.status.state == "Complete", 300)
    names = [job.name for job in done.status.jobs]
    assert len(names) == len(set(names))
    started = [event["message"] for event in api.list_events("pages") if event["reason"] == "StepStarted"]
    assert len(started) == len(set(started))
