"""A cluster in Docker containers, for machines with a Docker engine."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from deepsynth_cluster.clusters.clients import Clients
from deepsynth_cluster.commands import run_command
from deepsynth_cluster.programs.build import program
from deepsynth_host.cache import cache_folder


def docker_answers() -> bool:
    return shutil.which("docker") is not None and run_command(["docker", "info"], check=False).returncode == 0


class KindCluster(Clients):
    faults = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = cache_folder("clusters", f"kind-{name}")
        self.kubeconfig = self.folder / "kubeconfig"
        self.volumes = self.folder / "volumes"

    @property
    def nodes(self) -> tuple[str, ...]:
        found = self._kind("get", "nodes", "--name", self.name).split()
        return tuple(sorted(node for node in found if "control-plane" not in node))

    @property
    def is_up(self) -> bool:
        return self.name in self._kind("get", "clusters").split()

    @property
    def is_healthy(self) -> bool:
        return self.ready_nodes() >= set(self.nodes)

    def up(self, count: int) -> None:
        if self.is_up:
            return
        self.volumes.mkdir(exist_ok=True)
        self.volumes.chmod(0o777)
        mount = {"hostPath": str(self.volumes), "containerPath": str(self.volumes)}
        roles = ["control-plane", *["worker"] * count]
        nodes = [{"role": role, "extraMounts": [mount]} for role in roles]
        configuration = json.dumps({"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": nodes})
        create = ("create", "cluster", "--name", self.name, "--config", "-", "--wait", "180s")
        self._kind(*create, "--kubeconfig", str(self.kubeconfig), stdin=configuration)

    def down(self) -> None:
        self._kind("delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig))
        shutil.rmtree(self.folder)

    def load_image(self, archive: Path, nodes: Sequence[str] | None = None) -> None:
        chosen = ",".join(self.nodes if nodes is None else nodes)
        self._kind("load", "image-archive", str(archive), "--name", self.name, "--nodes", chosen)

    def _kind(self, *arguments: str, stdin: str | None = None) -> str:
        return run_command([str(program("kind")), *arguments], stdin=stdin).stdout
