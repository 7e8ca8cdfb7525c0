"""The programs of a cluster, built from Go modules that `binaries/` pins by checksum, and kept in the cache.

`python -m deepsynth_cluster.programs helm` builds what is missing and prints where helm is.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepsynth_cluster.cache import ClusterError, cache_folder, locked, require_free_space
from deepsynth_cluster.packages import require_runc_headers

MODULES = Path(__file__).parent / "binaries"
KUBERNETES = "DEEPSYNTH_KUBERNETES"
BUILD_GIB = 6.0
"""What a cold build of everything adds to Go's module and build caches."""


@dataclass(frozen=True)
class Upstream:
    """A Go module whose `tool` directives are the programs, and how to build them."""

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
        digest = hashlib.sha256(f"{self.ldflags}|{self.tags}|{self.cgo}".encode())
        for file in sorted(self.folder.glob("*")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return f"{self.name}-{digest.hexdigest()[:16]}"


def kubernetes(environment: Mapping[str, str] = os.environ) -> Upstream:
    """The newest, or the older one that `DEEPSYNTH_KUBERNETES` names: 1.34, say."""
    asked = environment.get(KUBERNETES, "")
    name = f"kubernetes-{asked}" if asked else "kubernetes"
    if not (MODULES / name).is_dir():
        known = ", ".join(sorted(folder.name.removeprefix("kubernetes-") for folder in MODULES.glob("kubernetes-*")))
        raise ClusterError(f"{KUBERNETES}={asked}: there is {known}, and the newest where it is not set")
    commands = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
    return Upstream(name, commands, ldflags=_name_version(MODULES / name / "go.mod"))


def _name_version(pins: Path) -> str:
    """Without these, the binaries call themselves v0.0.0 and refuse to work with each other."""
    pinned = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\S*)", pins.read_text())
    if pinned is None:
        raise ClusterError(f"{pins}: no version of k8s.io/kubernetes")
    version, major, minor = pinned.groups()
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X {package}.{field}={value}" for package in packages for field, value in values.items())


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
)
"""Beside Kubernetes."""
PROGRAM_NAMES = {"server": "etcd"}
"""Go names a program after its package's folder."""


def program(command: str) -> Path:
    """Return where a program is, built if need be."""
    upstream = next((each for each in (*UPSTREAMS, kubernetes()) if command in each.commands), None)
    if upstream is None:
        raise ClusterError(f"no module in {MODULES} has the program {command}")
    folder = cache_folder("binaries") / upstream.key
    if not folder.exists():
        with locked(cache_folder("binaries") / "lock"):
            if not folder.exists():
                _build(upstream, folder)
    return folder / command


def _build(upstream: Upstream, folder: Path) -> None:
    _require_go()
    require_free_space(cache_folder(), BUILD_GIB, f"building {upstream.name}")
    if upstream.cgo:
        require_runc_headers()
    print(f"building {', '.join(upstream.commands)} ...", end="", flush=True)
    began = time.monotonic()
    staging = folder.with_suffix(".staging")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    _run_go(upstream, staging)
    for built, name in PROGRAM_NAMES.items():
        if (staging / built).exists():
            (staging / built).rename(staging / name)
    staging.rename(folder)
    print(f" {time.monotonic() - began:.0f} s", flush=True)


def _run_go(upstream: Upstream, target: Path) -> None:
    environment = os.environ | {
        "CGO_ENABLED": "1" if upstream.cgo else "0",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "GOWORK": "off",
    }
    packages = ["."] if (upstream.folder / "main.go").exists() else ["tool"]
    flags = ["-tags", upstream.tags, "-ldflags", f"-s -w {upstream.ldflags}".strip()]
    command = ["nice", "-n", "5", "go", "build", *flags, "-o", f"{target}/", *packages]
    done = subprocess.run(command, cwd=upstream.folder, env=environment, capture_output=True, check=False, text=True)
    if done.returncode:
        raise ClusterError(f"go build in {upstream.folder} failed:\n{done.stderr.strip()[-2000:]}")


def _require_go() -> None:
    if shutil.which("go") is None:
        raise ClusterError("install Go 1.26 or newer: the cluster's programs are built from their modules")


def main() -> None:
    """Build the programs that are named (all, without a name) and print where they are."""
    try:
        for command in sys.argv[1:] or [name for upstream in (*UPSTREAMS, kubernetes()) for name in upstream.commands]:
            print(program(command), flush=True)
    except ClusterError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
