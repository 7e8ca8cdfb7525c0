"""Faults in a bare cluster: lost nodes, restarted control planes, killed containers."""

import json
import os
import signal as signals
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from deepsynth_cluster.errors import ClusterError

if TYPE_CHECKING:
    from deepsynth_cluster.clusters.bare import BareCluster


class BareFaults:
    def __init__(self, cluster: "BareCluster") -> None:
        self._cluster = cluster

    def stop_node(self, node: str) -> None:
        self._cluster.node(node).machine.power_off()

    def start_node(self, node: str) -> None:
        self._cluster.start_node(node)

    def restart_api_server(self) -> None:
        control_plane = self._cluster.control_plane
        control_plane.machine.kill("kube-apiserver")
        control_plane.start_api_server()
        self._cluster.wait_for_api_server()

    def stop_etcd(self) -> None:
        self._cluster.control_plane.machine.kill("etcd")

    def start_etcd(self) -> None:
        self._cluster.control_plane.start_etcd()
        self._cluster.wait_for_api_server()

    def restart_controller_manager(self) -> None:
        control_plane = self._cluster.control_plane
        control_plane.machine.kill("kube-controller-manager")
        control_plane.start_controller_manager()

    def kill_container(self, namespace: str, pod: str, signal: str = "KILL", container: str | None = None) -> None:
        first = [pid for pid in self.container_pids(namespace, pod, container) if _is_first(pid)]
        if not first:
            raise ClusterError(f"pod {namespace}/{pod}: no running container{f' {container}' if container else ''}")
        for pid in first:
            os.kill(pid, signals.Signals[f"SIG{signal}"])

    def run_on_node(self, node: str, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self._cluster.node(node).machine.run(*argv, check=check)

    def container_pids(self, namespace: str, pod: str, container: str | None = None) -> tuple[int, ...]:
        found = json.loads(self._cluster.kubectl("get", "pod", pod, "-n", namespace, "-o", "json").stdout)
        wanted = {
            status["containerID"].removeprefix("containerd://")
            for status in found["status"].get("containerStatuses", [])
            if "containerID" in status and container in {None, status["name"]}
        }
        group = self._cluster.node(found["spec"]["nodeName"]).machine.group
        return tuple(pid for pid in sorted(group.processes()) if _container_of(pid) in wanted)


def _container_of(pid: int) -> str:
    """The id of the container that a process is in; something else outside of pods, nothing once it has ended."""
    try:
        first = Path(f"/proc/{pid}/cgroup").read_text().splitlines()[0]
    except (OSError, IndexError):  # it ended
        return ""
    return first.rpartition("/")[2]


def _is_first(pid: int) -> bool:
    """Whether a process is the first of its container, with process id 1 in there."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it ended
        return False
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
    return len(numbers) > 2 and numbers[-1] == "1"
