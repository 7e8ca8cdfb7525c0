"""Which Go modules hold the programs of a cluster, and the key of each build in the cache.

A folder below `modules/` pins a module by checksum. Its `tool` directives are the programs:

    modules/etcd/go.mod                tool go.etcd.io/etcd/server/v3
    modules/kubernetes-1.34/go.mod     an older Kubernetes, for DEEPSYNTH_KUBERNETES=1.34
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepsynth_cluster.errors import ClusterError

MODULES = Path(__file__).parent / "modules"
KUBERNETES = "DEEPSYNTH_KUBERNETES"


@dataclass(frozen=True)
class Upstream:
    """A pinned Go module, its programs, and how they are built."""

    name: str
    commands: tuple[str, ...]
    ldflags: str = ""
    tags: str = ""
    cgo: bool = False

    @property
    def folder(self) -> Path:
        return MODULES / self.name

    @property
    def key(self) -> str:
        """Changes with the pins and with the way of building, such as `etcd-89acab0ce51812f2`."""
        digest = hashlib.sha256(f"{self.ldflags}|{self.tags}|{self.cgo}".encode())
        for file in sorted(self.folder.glob("*")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return f"{self.name}-{digest.hexdigest()[:16]}"


UPSTREAMS = (
    Upstream("pause", ("pause",)),
    Upstream("probe", ("probe",)),
    Upstream("etcd", ("etcd",)),
    Upstream("cni", ("bridge", "host-local", "loopback", "portmap")),
    Upstream("runc", ("runc",), tags="seccomp", cgo=True),
    Upstream("containerd", ("containerd", "containerd-shim-runc-v2", "ctr")),
    Upstream("coredns", ("coredns",)),
    Upstream("helm", ("helm",)),
    Upstream("kind", ("kind",)),
    Upstream("kueue", ("kueue",)),
)
"""All but Kubernetes, whose version can be chosen."""
PEERS = (Upstream("trainer", ("trainer-controller-manager", "jobset")),)
"""Only a benchmark compares itself with them, so they are built when it first asks for them."""


LINTERS = (Upstream("actionlint", ("actionlint",)),)
"""For `make chart-test`."""

STORES = (Upstream("fake-gcs-server", ("fake-gcs-server",)), Upstream("versitygw", ("versitygw",)))
"""For the slow tests of gs:// and s3://."""


def kubernetes(environment: Mapping[str, str] = os.environ) -> Upstream:
    """The newest pinned Kubernetes, or the one that `DEEPSYNTH_KUBERNETES` names, such as 1.34."""
    asked = environment.get(KUBERNETES, "")
    name = f"kubernetes-{asked}" if asked else "kubernetes"
    if not (MODULES / name).is_dir():
        known = ", ".join(sorted(folder.name.removeprefix("kubernetes-") for folder in MODULES.glob("kubernetes-*")))
        raise ClusterError(f"{KUBERNETES}: must be one of {known}, or unset for the newest, got {asked!r}")
    commands = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
    return Upstream(name, commands, ldflags=_name_version(MODULES / name / "go.mod"))


def find_upstream(command: str, environment: Mapping[str, str] = os.environ) -> Upstream:
    """The module that has a program of this name. Raises ClusterError."""
    for upstream in (*UPSTREAMS, *PEERS, *LINTERS, *STORES, kubernetes(environment)):
        if command in upstream.commands:
            return upstream
    raise ClusterError(f"no module in {MODULES} has the program {command}")


def list_commands() -> list[str]:
    """The name of every program that tests need."""
    return [command for upstream in (*UPSTREAMS, kubernetes()) for command in upstream.commands]


def _name_version(pins: Path) -> str:
    """Linker flags with the version: without them the binaries report v0.0.0 and refuse to work with each other."""
    pinned = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\S*)", pins.read_text())
    if pinned is None:
        raise ClusterError(f"{pins}: no version of k8s.io/kubernetes")
    version, major, minor = pinned.groups()
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X {package}.{field}={value}" for package in packages for field, value in values.items())
