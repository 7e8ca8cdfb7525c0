"""A Kubernetes cluster without Docker: the control plane and each node run on a machine made of namespaces."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deepsynth_cluster.clusters.clients import Clients
from deepsynth_cluster.clusters.faults import BareFaults
from deepsynth_cluster.commands import wait_until
from deepsynth_cluster.errors import ClusterError
from deepsynth_cluster.images.archives import write_archive
from deepsynth_cluster.images.loading import load_archive
from deepsynth_cluster.kubernetes.control_plane import ControlPlane
from deepsynth_cluster.kubernetes.credentials import Authority
from deepsynth_cluster.kubernetes.node import PAUSE_IMAGE, Node
from deepsynth_cluster.machine.cgroups import ControlGroup
from deepsynth_cluster.machine.machine import Machine
from deepsynth_cluster.programs.build import program
from deepsynth_cluster.programs.packages import PACKAGES, require_commands
from deepsynth_host.cache import cache_folder, locked, require_free_space

PROGRAMS = ("pause", "etcd", "kube-apiserver", "coredns", "helm")
NODE_PROGRAMS = ("bridge", "runc", "containerd")
"""One program of each module: building it builds the others too."""
BOOT_SECONDS = 300.0
RUN_GIB = 2.0
"""Disk for a cluster's own files and logs. Space for images is checked when they are loaded."""


class BareCluster(Clients):
    """A cluster by its name, running or not. It keeps no state of its own: all is in its folder and in the kernel."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = cache_folder("clusters") / name
        self.kubeconfig = self.folder / "kubeconfig"
        self.volumes = self.folder / "volumes"
        self._finished = self.folder / "finished"
        """Missing while the cluster is brought up, and after a run that was killed meanwhile."""
        self.faults = BareFaults(self)
        # Two checkouts with caches of their own may use the same name.
        self._group = f"deepsynth/{name}-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"
        authority = Authority(self.folder / "certificates")
        self.control_plane = ControlPlane(self._machine("control-plane"), authority, self.kubeconfig, name)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in (self.folder / "machines").glob("node-*")))

    def node(self, name: str) -> Node:
        if name not in self.nodes:
            raise ClusterError(f"cluster {self.name} has no node {name}: it has {', '.join(self.nodes) or 'none'}")
        return self._node(int(name.removeprefix("node-")))

    def up(self, count: int) -> None:
        """Bring it up with `count` nodes, unless it is up and healthy. What an earlier run left is removed first."""
        require_root()
        with locked(self.folder.with_suffix(".lock")):
            if self.is_up and self._finished.exists() and self._answers_soon():
                self._require_same(count)
                return
            self._take_down()
            require_commands(PACKAGES)
            require_free_space(cache_folder(), RUN_GIB, "a cluster")
            for command in (*PROGRAMS, *(NODE_PROGRAMS if count else ())):
                program(command)
            try:
                self._bring_up(count)
                self._finished.touch()
            except BaseException:
                self._power_off()  # its folder stays, for its logs
                raise

    def down(self) -> None:
        """End all its processes and remove its folder, volumes included."""
        require_root()
        with locked(self.folder.with_suffix(".lock")):
            self._take_down()

    @property
    def is_up(self) -> bool:
        return self.kubeconfig.exists() and self.control_plane.machine.is_on

    @property
    def is_healthy(self) -> bool:
        """Whether it answers and all its nodes are Ready."""
        return self.is_up and self._api_server_is_ready() and self.ready_nodes() == set(self.nodes)

    def start_node(self, name: str) -> None:
        node = self.node(name)
        node.machine.power_off()
        node.boot(self.control_plane.machine, len(self.nodes))
        self._wait_for_containerd(node)
        node.start_kubelet()
        before = time.time()
        self._wait_until(lambda: name in self.ready_nodes(since=before), f"node {name} is Ready", node.machine)

    def wait_for_api_server(self) -> None:
        self._wait_until(self._api_server_is_ready, "the API server is ready", self.control_plane.machine)

    def load_image(self, archive: Path, nodes: Sequence[str] | None = None) -> None:
        load_archive(archive, [self.node(name).machine for name in (self.nodes if nodes is None else nodes)])

    def _bring_up(self, count: int) -> None:
        self.volumes.mkdir(parents=True)
        self.volumes.chmod(0o777)
        self.control_plane.create()
        nodes = [self._node(number) for number in range(1, count + 1)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: self._prepare_node(node, count), nodes))
        self.wait_for_api_server()
        for node in nodes:
            node.start_kubelet()
        machines = [node.machine for node in nodes]
        self._wait_until(lambda: self.ready_nodes() == set(self.nodes), f"{count} nodes are Ready", *machines)

    def _prepare_node(self, node: Node, count: int) -> None:
        node.configure()
        node.boot(self.control_plane.machine, count)
        self._wait_for_containerd(node)
        archive = node.machine.folder / "pause.tar"
        write_archive(archive, PAUSE_IMAGE, [{"pause": program("pause").read_bytes()}], ["/pause"])
        load_archive(archive, [node.machine])

    def _take_down(self) -> None:
        self._power_off()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _power_off(self) -> None:
        group = ControlGroup(self._group)
        group.kill()
        group.remove()

    def _wait_for_containerd(self, node: Node) -> None:
        """A kubelet gives up if containerd does not answer at once."""
        answers = f"containerd of {node.name} answers"
        self._wait_until(lambda: _containerd_answers(node.machine), answers, node.machine)

    def _wait_until(self, holds: Callable[[], bool], what: str, *machines: Machine) -> None:
        try:
            wait_until(holds, what, BOOT_SECONDS)
        except ClusterError as error:
            ends = "\n".join(machine.read_log_ends() for machine in machines)
            raise ClusterError(f"{error}: see {self.folder}/machines/*/logs\n{ends}") from error

    def _require_same(self, count: int) -> None:
        if count != len(self.nodes):
            msg = f"cluster {self.name} is up with {len(self.nodes)} nodes: take it down first, or use another name"
            raise ClusterError(msg)

    def _answers_soon(self) -> bool:
        """A slow answer on a busy host is not a reason to delete the user's cluster, so wait for a while."""
        try:
            wait_until(lambda: self.is_healthy, f"cluster {self.name} is healthy", 30)
        except ClusterError:
            return False
        return True

    def _api_server_is_ready(self) -> bool:
        return self.kubectl("get", "--raw", "/readyz", "--request-timeout=2s", check=False).returncode == 0

    def _node(self, number: int) -> Node:
        machine = self._machine(f"node-{number}")
        return Node(number, machine, self.control_plane.authority, self.control_plane.server)

    def _machine(self, name: str) -> Machine:
        return Machine(name, self.folder / "machines" / name, ControlGroup(f"{self._group}/{name}"))


def require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError("a cluster without Docker needs root: run as root, or set KUBECONFIG to an existing cluster")


def _containerd_answers(machine: Machine) -> bool:
    return machine.run(str(program("ctr")), "version", check=False).returncode == 0
