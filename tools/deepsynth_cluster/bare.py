"""A Kubernetes cluster without Docker: a control plane and nodes on machines that namespaces play."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deepsynth_cluster.archives import write_archive
from deepsynth_cluster.cache import ClusterError, cache_folder, locked, require_free_space
from deepsynth_cluster.certificates import Authority
from deepsynth_cluster.cgroups import ControlGroup
from deepsynth_cluster.clients import Clients
from deepsynth_cluster.control_plane import ControlPlane
from deepsynth_cluster.faults import BareFaults
from deepsynth_cluster.images import load_archive
from deepsynth_cluster.machine import Machine
from deepsynth_cluster.node import PAUSE_IMAGE, Node
from deepsynth_cluster.packages import PACKAGES, require_commands
from deepsynth_cluster.programs import program
from deepsynth_cluster.waiting import wait_until

PROGRAMS = ("pause", "etcd", "kube-apiserver", "coredns", "helm")
NODE_PROGRAMS = ("bridge", "runc", "containerd")
"""One of each module that is needed: its others are built with it."""
BOOT_SECONDS = 300.0
RUN_GIB = 2.0
"""What a cluster's own files and logs may grow to; images are asked for when they are loaded."""


class BareCluster(Clients):
    """A cluster by its name, whether it runs or not: everything about it is in its folder and in the kernel."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = cache_folder("clusters") / name
        self.kubeconfig = self.folder / "kubeconfig"
        self.volumes = self.folder / "volumes"
        self._finished = self.folder / "finished"
        """Not there: a run was killed while it brought it up."""
        self.faults = BareFaults(self)
        # Two checkouts with caches of their own may use the same name.
        self._group = f"deepsynth/{name}-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"
        authority = Authority(self.folder / "certificates")
        self.control_plane = ControlPlane(self._machine("control-plane"), authority, self.kubeconfig)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in (self.folder / "machines").glob("node-*")))

    def node(self, name: str) -> Node:
        if name not in self.nodes:
            raise ClusterError(f"cluster {self.name} has no node {name}: it has {', '.join(self.nodes) or 'none'}")
        return self._node(int(name.removeprefix("node-")))

    def up(self, count: int) -> None:
        """Bring it up with so many nodes, unless it is up and well; clean what an earlier run left behind."""
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
        """End everything of it and remove its folder, volumes included."""
        require_root()
        with locked(self.folder.with_suffix(".lock")):
            self._take_down()

    @property
    def is_up(self) -> bool:
        return self.kubeconfig.exists() and self.control_plane.machine.is_on

    @property
    def is_well(self) -> bool:
        """Tell whether it answers and all its nodes are Ready."""
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
        """A kubelet that does not find it at once gives up."""
        answers = f"containerd of {node.name} answers"
        self._wait_until(lambda: _containerd_answers(node.machine), answers, node.machine)

    def _wait_until(self, holds: Callable[[], bool], what: str, *machines: Machine) -> None:
        try:
            wait_until(holds, what, BOOT_SECONDS)
        except ClusterError as error:
            said = "\n".join(machine.last_words() for machine in machines)
            raise ClusterError(f"{error}: {self.folder}/machines/*/logs tell more\n{said}") from error

    def _require_same(self, count: int) -> None:
        if count != len(self.nodes):
            msg = f"cluster {self.name} is up with {len(self.nodes)} nodes: take it down first, or use another name"
            raise ClusterError(msg)

    def _answers_soon(self) -> bool:
        """On a starved machine it may be slow, which is no reason to throw away what a person has on it."""
        try:
            wait_until(lambda: self.is_well, f"cluster {self.name} is well", 30)
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
        raise ClusterError("a cluster without Docker needs root: run as root, or give a cluster by KUBECONFIG")


def _containerd_answers(machine: Machine) -> bool:
    return machine.run(str(program("ctr")), "version", check=False).returncode == 0
