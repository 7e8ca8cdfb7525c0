"""As on OpenShift: a namespace chooses the users of its pods, which have no name or home, and rejects all others."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_demo.chart import CLAIM, SYSTEM_NAMESPACE, apply_all, forget_users, upgrade
from e2e.support.api import wait_until
from e2e.support.installation import Installation
from e2e.support.lives import RunLife
from e2e.support.openshift import FIRST_USER, LABELS, build_api, build_policies
from e2e.support.resources import SMALL, build_generation, build_run

pytestmark = pytest.mark.slow
TEAM = "openshift"


@pytest.fixture
def team(installation: Installation, values: dict[str, Any]) -> Iterator[Installation]:
    """A namespace whose volume belongs to the group of its range, and an operator whose namespace has a range too."""
    cluster = installation.cluster
    forget_users(cluster, TEAM)
    team = Installation.prepare(cluster, TEAM)
    os.chown(team.volume, 0, FIRST_USER)
    team.volume.chmod(0o2770)
    objects = [build_api(), *build_policies()]
    apply_all(cluster, None, *objects)
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{objects[0]['metadata']['name']}", "--timeout=30s")
    label(cluster, SYSTEM_NAMESPACE, LABELS)
    label(cluster, TEAM, LABELS)
    upgrade(cluster, {**values, "dashboard.enabled": True})
    yield team
    label(cluster, SYSTEM_NAMESPACE, dict.fromkeys(LABELS.keys() - {"pod-security.kubernetes.io/enforce"}))
    forget_users(cluster, TEAM)
    for item in objects:
        cluster.kubectl("delete", item["kind"], item["metadata"]["name"])
    upgrade(cluster, values)


def label(cluster: Cluster, namespace: str, labels: dict[str, str] | dict[str, None]) -> None:
    """None removes a label."""
    body = json.dumps({"metadata": {"labels": labels}})
    cluster.kubectl("patch", "namespace", namespace, "--type=merge", "-p", body)


def test_users_without_a_name_install_render_and_train(team: Installation) -> None:
    api = team.api
    pods = json.loads(team.cluster.kubectl("-n", SYSTEM_NAMESPACE, "get", "pods", "-o", "json").stdout)["items"]
    assert {pod["spec"]["securityContext"]["runAsUser"] for pod in pods} == {FIRST_USER}
    assert len(pods) == 2

    other = {"resources": SMALL, "runAsUser": 1000}
    api.create(build_generation("rejected", f"pvc://{CLAIM}/rejected", template=other))
    reason = "PodsNotCreated"
    api.create(build_generation("pages", f"pvc://{CLAIM}/pages", template={"resources": SMALL}))
    template = {"terminationGracePeriodSeconds": 60}
    team.wait_for_generation("pages", lambda item: item.status.state == "Complete", 300)
    life = RunLife.begin(api, team.volume, build_run("trained", maxSteps=10, template=template))
    life.wait_for_model()
    assert list_owners(team.volume) == {FIRST_USER}
    wait_until("a hint at the policy", lambda: api.get_generation("rejected").status.summary.reason == reason, 180)


def list_owners(folder: Path) -> set[int]:
    return {path.stat().st_uid for path in folder.rglob("*")}
