"""Programs of a cluster, built with Go when they are first needed and kept in the cache."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from deepsynth_cluster.errors import ClusterError
from deepsynth_cluster.programs.packages import require_runc_headers
from deepsynth_cluster.programs.pins import Upstream, find_upstream
from deepsynth_host.cache import cache_folder, locked, require_free_space

BUILD_GIB = 6.0
"""What building everything from scratch adds to Go's module and build caches."""
PROGRAM_NAMES = {"server": "etcd"}
"""Go names a program after its package's folder."""


def program(command: str) -> Path:
    """The path of a program, which is built first if it is not in the cache."""
    upstream = find_upstream(command)
    folder = cache_folder("binaries") / upstream.key
    if not folder.exists():
        with locked(cache_folder("binaries") / "lock"):
            if not folder.exists():
                _build(upstream, folder)
    return folder / command


def find_source(command: str, module: str) -> Path:
    """A module that a program is built from, as a folder in Go's module cache. Downloads it where it is missing."""
    folder = find_upstream(command).folder
    argv = ["go", "mod", "download", "-json", module]
    done = subprocess.run(argv, cwd=folder, capture_output=True, check=False, text=True)
    if done.returncode:
        raise ClusterError(f"go mod download in {folder} failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")
    return Path(json.loads(done.stdout)["Dir"])


def _build(upstream: Upstream, folder: Path) -> None:
    if shutil.which("go") is None:
        raise ClusterError("install Go 1.26 or newer: the cluster's programs are built from their modules")
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
