"""DeepSynth on a test cluster, as a platform engineer installs it: the chart, two restricted namespaces, one volume."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_cluster.interface import Cluster
from e2e.api import Api, wait_until
from e2e.lives import describe
from e2e.resources import CLAIM

SYSTEM_NAMESPACE = "deepsynth-system"
USER_NAMESPACE = "ml"
RELEASE = "deepsynth"
CHART = Path(__file__).parents[2] / "charts/deepsynth"
POLL_SECONDS = 2
"""The default of 15 s is for runs of days."""


@dataclass(frozen=True)
class Installation:
    cluster: Cluster
    api: Api
    """In the users' namespace."""
    volume: Path
    """What the claim of the users' namespace holds, as this machine sees it."""

    def apply(self, *manifests: dict[str, Any]) -> None:
        apply_all(self.cluster, self.api.namespace, *manifests)

    def apply_config_map(self, name: str, data: dict[str, str]) -> None:
        self.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})

    def wait_for_generation(
        self, name: str, check: Callable[[DatasetGeneration], bool], seconds: float, what: str = "its end"
    ) -> DatasetGeneration:
        """The generation once `check` holds. Fails as soon as it has failed without it."""

        def look() -> DatasetGeneration | None:
            generation = self.api.get_generation(name)
            if check(generation):
                return generation
            assert generation.status.state != "Failed", describe(generation)
            return None

        found = wait_until(f"{name}: {what}", look, seconds, lambda: describe(self.api.get_generation(name)))
        assert found is not None
        return found


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


def build_values(operator_image: str, train_image: str) -> dict[str, Any]:
    """images: REPOSITORY:TAG, already on the nodes."""
    values: dict[str, Any] = {"images.registry": "", "images.pullPolicy": "Never", "pollSeconds": POLL_SECONDS}
    for name, image in (("operator", operator_image), ("renderer", operator_image), ("trainer", train_image)):
        repository, _, tag = image.rpartition(":")
        values |= {f"images.{name}.repository": repository, f"images.{name}.tag": tag}
    return values


def prepare_users(cluster: Cluster, namespace: str = USER_NAMESPACE) -> Installation:
    """A restricted namespace with a claim that pods of every node may write to."""
    volume = cluster.volumes / namespace
    volume.mkdir(parents=True, exist_ok=True)
    volume.chmod(0o777)  # a hostPath volume ignores fsGroup
    create_restricted_namespace(cluster, namespace)
    apply_all(cluster, namespace, _build_volume(namespace, volume), _build_claim(namespace))
    return Installation(cluster, Api(cluster.kubeconfig, namespace), volume)


def forget_users(cluster: Cluster, namespace: str = USER_NAMESPACE) -> None:
    """Remove the namespace, its volume and what the volume holds: also those of a session that was killed."""
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
