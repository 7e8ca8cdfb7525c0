"""A Hub for the tests, in the cluster and at the restricted level. It keeps its data when it is stopped."""

import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_demo.chart import apply_all, create_restricted_namespace
from deepsynth_images.build import build_image
from e2e.support.hub.manifests import ENDPOINT, NAME, build_manifests
from e2e.support.hub.shardline import build_recipe, find_shardline

TOKEN_SECONDS = 86_400


@dataclass(frozen=True)
class Hub:
    """endpoint: what HF_ENDPOINT is in pods."""

    cluster: Cluster
    key_file: Path
    endpoint: str = ENDPOINT

    def create_secret(self, namespace: str, name: str, repository: str, *, xet: bool = True) -> None:
        """Create a Secret for `secretRef`, with a token that may write to this repository only, over Xet or LFS."""
        data = {"HF_ENDPOINT": self.endpoint, "HF_TOKEN": self.mint_token(repository)}
        if not xet:
            data["HF_HUB_DISABLE_XET"] = "1"
        secret: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": data,
        }
        apply_all(self.cluster, namespace, secret)

    def mint_token(self, repository: str) -> str:
        owner, _, name = repository.partition("/")
        arguments = {
            "--issuer": "local",
            "--subject": "tests",
            "--scope": "write",
            "--provider": "generic",
            "--owner": owner,
            "--repo": name,
            "--ttl-seconds": str(TOKEN_SECONDS),
            "--key-file": str(self.key_file),
        }
        command = [str(find_shardline()), "admin", "token", *(part for pair in arguments.items() for part in pair)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def stop(self) -> None:
        """Stop the server: connections to its address fail."""
        self._kubectl("scale", "deployment", NAME, "--replicas=0")
        self._kubectl("wait", "--for=delete", "pod", "--selector", f"app={NAME}", "--timeout=60s")

    def start(self) -> None:
        """Start it with the data it had, and wait until it answers."""
        self._kubectl("scale", "deployment", NAME, "--replicas=1")
        self._wait()

    def _wait(self) -> None:
        self._kubectl("rollout", "status", "deployment", NAME, "--timeout=120s")

    def _kubectl(self, *arguments: str) -> None:
        self.cluster.kubectl("--namespace", NAME, *arguments)


def install_hub(cluster: Cluster) -> Hub:
    """Install the server in its own namespace, if it is not there yet, and wait until it answers."""
    image = build_image(build_recipe())
    cluster.load_image(image.path)
    volume = cluster.volumes / NAME
    volume.mkdir(exist_ok=True)
    volume.chmod(0o777)  # a hostPath volume ignores fsGroup
    hub = Hub(cluster, _find_key(cluster))
    create_restricted_namespace(cluster, NAME)
    apply_all(cluster, NAME, *build_manifests(image.reference, volume, hub.key_file.read_text()))
    hub._wait()
    return hub


def _find_key(cluster: Cluster) -> Path:
    """Tokens stay valid after an installation, so the key must stay too."""
    key = cluster.volumes / "hub-signing-key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32))
    return key
