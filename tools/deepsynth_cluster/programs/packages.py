"""Commands of the operating system that a cluster needs, installed from Debian packages where possible."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from deepsynth_host.packages import install_packages

PACKAGES = {
    "ip": "iproute2",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "tar": "tar",
}
RUNC_PACKAGES = {"gcc": "gcc", "pkg-config": "pkg-config"}
SECCOMP_HEADER = Path("/usr/include/seccomp.h")


def require_commands(commands: Iterable[str]) -> None:
    """Install the packages of missing commands. Raises ToolError naming the packages where it cannot."""
    known = PACKAGES | RUNC_PACKAGES
    _require({known[command] for command in commands if shutil.which(command) is None})


def require_runc_headers() -> None:
    require_commands(RUNC_PACKAGES)
    _require(set() if SECCOMP_HEADER.exists() else {"libseccomp-dev"})


def _require(packages: set[str]) -> None:
    install_packages(sorted(packages), f"install {', '.join(sorted(packages))}")
