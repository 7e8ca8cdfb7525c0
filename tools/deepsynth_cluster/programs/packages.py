"""Commands of the operating system that a cluster needs, installed from Debian packages where possible."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from deepsynth_cluster.errors import ClusterError

PACKAGES = {
    "ip": "iproute2",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "tar": "tar",
}
PATIENCE = ("-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5")
"""A new machine may be running its own updates."""
RUNC_PACKAGES = {"gcc": "gcc", "pkg-config": "pkg-config"}
SECCOMP_HEADER = Path("/usr/include/seccomp.h")


def require_commands(commands: Iterable[str]) -> None:
    """Install the packages of missing commands. Raises ClusterError naming the packages where it cannot."""
    known = PACKAGES | RUNC_PACKAGES
    _require({known[command] for command in commands if shutil.which(command) is None})


def require_runc_headers() -> None:
    require_commands(RUNC_PACKAGES)
    _require(set() if SECCOMP_HEADER.exists() else {"libseccomp-dev"})


def _require(packages: set[str]) -> None:
    if not packages:
        return
    names = sorted(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(f"install {', '.join(names)}")
    print(f"installing {', '.join(names)}", flush=True)
    install = ["apt-get", *PATIENCE, "install", "-y", "-q", "--no-install-recommends", *names]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(install, env=environment, capture_output=True, check=False).returncode:
        # The package lists of a new machine may be empty or old.
        subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)
        done = subprocess.run(install, env=environment, capture_output=True, check=False, text=True)
        if done.returncode:
            raise ClusterError(f"apt-get could not install {', '.join(names)}: {done.stderr.strip()[-500:]}")
