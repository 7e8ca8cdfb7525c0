"""What every cluster offers to tests and users, and which faults can be injected where we own it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path


class Faults(Protocol):
    """Faults of a cluster that we own. Each is undone by its counterpart, or by the next `up`."""

    def stop_node(self, node: str) -> None:
        """Kill the node's kubelet, proxy, container runtime and containers at once; its Node object stays."""

    def start_node(self, node: str) -> None:
        """Bring a stopped node back and wait until it is Ready."""

    def restart_api_server(self) -> None:
        """Kill the API server, start it again and wait until it is ready."""

    def stop_etcd(self) -> None:
        """Kill etcd. From then on the API server answers with errors only."""

    def start_etcd(self) -> None:
        """Start etcd with the data it had and wait until the API server is ready."""

    def restart_controller_manager(self) -> None:
        """Kill the controller manager and start it again, with empty caches and back-offs."""

    def kill_container(self, namespace: str, pod: str, signal: str = "KILL", container: str | None = None) -> None:
        """Send a signal to the first process of a pod's container, as the kernel's OOM killer would."""

    def run_on_node(self, node: str, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine inside the node's namespaces."""

    def container_pids(self, namespace: str, pod: str, container: str | None = None) -> tuple[int, ...]:
        """Process ids on this machine of all that runs in a pod's containers."""


class Cluster(Protocol):
    """A Kubernetes cluster with an administrator's rights."""

    @property
    def name(self) -> str: ...

    @property
    def kubeconfig(self) -> Path: ...

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes that take pods."""

    @property
    def volumes(self) -> Path:
        """A folder that every node has at the same path, so that a hostPath volume in it works as ReadWriteMany."""

    @property
    def faults(self) -> Faults | None:
        """None where the cluster is not ours to break."""

    def ready_nodes(self, since: float = 0) -> frozenset[str]:
        """The nodes whose kubelet has reported Ready since that time."""

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002  # subprocess.run's own word
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl with this cluster's kubeconfig. With `check`, raise ClusterError when it fails."""

    def helm(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run helm with this cluster's kubeconfig."""

    def load_image(self, archive: Path, nodes: Sequence[str] | None = None) -> None:
        """Put the images of a docker-archive on the nodes (all of them by default)."""

    def set_gpus(self, gpus_per_node: int, nodes: Sequence[str] | None = None) -> None:
        """Make the nodes offer `nvidia.com/gpu` without a device plugin."""
