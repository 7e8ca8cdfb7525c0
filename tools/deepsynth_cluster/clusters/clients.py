"""kubectl and helm for any cluster that has a kubeconfig."""

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from deepsynth_cluster.commands import run_command
from deepsynth_cluster.programs.build import program

GPU = "nvidia.com/gpu"


class Clients:
    """The part of a cluster that needs only its kubeconfig."""

    kubeconfig: Path

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002  # subprocess.run's own word
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        command = [str(program("kubectl")), *arguments]
        return run_command(command, stdin=input, environment=self._environment(), check=check)

    def helm(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run_command([str(program("helm")), *arguments], environment=self._environment(), check=check)

    def ready_nodes(self, since: float = 0) -> frozenset[str]:
        """The nodes whose kubelet has reported Ready since that time."""
        listed = self.kubectl("get", "nodes", "-o", "json", check=False)  # no answer while it starts
        nodes = json.loads(listed.stdout)["items"] if listed.returncode == 0 else []
        return frozenset(node["metadata"]["name"] for node in nodes if _is_ready(node, since))

    def set_gpus(self, gpus_per_node: int, nodes: Sequence[str] | None = None) -> None:
        """Write GPUs into the nodes' status. Kubelets keep resources there that none of their device plugins has."""
        name = GPU.replace("/", "~1")  # as a JSON pointer writes it
        offers = ("capacity", "allocatable")  # the kubelet would derive the second, after up to ten seconds
        added = [{"op": "add", "path": f"/status/{offer}/{name}", "value": str(gpus_per_node)} for offer in offers]
        patch = json.dumps(added)
        for node in sorted(self.ready_nodes()) if nodes is None else nodes:
            self.kubectl("patch", "node", node, "--subresource=status", "--type=json", "-p", patch)

    def _environment(self) -> dict[str, str]:
        return os.environ | {"KUBECONFIG": str(self.kubeconfig)}


def _is_ready(node: dict[str, dict[str, list[dict[str, str]]]], since: float) -> bool:
    conditions = node["status"].get("conditions", [])
    ready = (each for each in conditions if each["type"] == "Ready" and each["status"] == "True")
    return any(datetime.fromisoformat(each["lastHeartbeatTime"]).timestamp() >= int(since) for each in ready)
