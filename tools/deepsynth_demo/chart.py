"""DeepSynth on a cluster, as a platform engineer installs it: the chart, restricted namespaces, one shared volume."""

import json
import shutil
from pathlib import Path
from typing import Any

from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_images.recipe import ROOT

SYSTEM_NAMESPACE = "deepsynth-system"
RELEASE = "deepsynth"
CLAIM = "deepsynth"
"""Of the users' namespace: `pvc://deepsynth/pages`."""
CHART = ROOT / "charts/deepsynth"
POLL_SECONDS = 2
"""The default of 15 s is for runs of days."""


def build_values(operator_image: str, train_image: str) -> dict[str, Any]:
    """Values of the chart for images, given as REPOSITORY:TAG, that are already on the nodes."""
    values: dict[str, Any] = {"images.registry": "", "images.pullPolicy": "Never", "pollSeconds": POLL_SECONDS}
    for name, image in (("operator", operator_image), ("renderer", operator_image), ("trainer", train_image)):
        repository, _, tag = image.rpartition(":")
        values |= {f"images.{name}.repository": repository, f"images.{name}.tag": tag}
    return values


def install(cluster: Cluster, values: dict[str, Any]) -> None:
    """`helm upgrade --install`, and wait until the operator is ready."""
    create_restricted_namespace(cluster, SYSTEM_NAMESPACE)
    upgrade(cluster, values)


def upgrade(cluster: Cluster, values: dict[str, Any], *arguments: str) -> None:
    settings = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
    cluster.helm(
        "upgrade", "--install", RELEASE, str(CHART), "--namespace", SYSTEM_NAMESPACE, "--wait", "--timeout=180s",
        *settings, *arguments,
    )  # fmt: skip


def prepare_users(cluster: Cluster, namespace: str) -> Path:
    """Create a restricted namespace with a claim that pods of every node may write to.

    Returns what the claim holds, as this machine sees it.
    """
    volume = cluster.volumes / namespace
    volume.mkdir(parents=True, exist_ok=True)
    volume.chmod(0o777)  # a hostPath volume ignores fsGroup
    create_restricted_namespace(cluster, namespace)
    apply_all(cluster, namespace, _build_volume(namespace, volume), _build_claim(namespace))
    return volume


def forget_users(cluster: Cluster, namespace: str) -> None:
    """Remove the namespace, its volume and what the volume holds, if they exist."""
    cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=180s")
    cluster.kubectl("delete", "persistentvolume", namespace, "--ignore-not-found", "--timeout=60s")
    shutil.rmtree(cluster.volumes / namespace, ignore_errors=True)


def create_restricted_namespace(cluster: Cluster, name: str) -> None:
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }
    apply_all(cluster, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def apply_all(cluster: Cluster, namespace: str | None, *manifests: dict[str, Any]) -> None:
    """Server-side apply of all of them."""
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    where = ["--namespace", namespace] if namespace else []
    cluster.kubectl(*where, "apply", "--server-side", "-f", "-", input=document)


def _build_volume(namespace: str, folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": namespace},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": {"storage": "20Gi"},
            "claimRef": {"namespace": namespace, "name": CLAIM},
            "hostPath": {"path": str(folder)},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
        },
    }


def _build_claim(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "20Gi"}},
            "storageClassName": "",
        },
    }
