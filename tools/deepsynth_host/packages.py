"""Debian packages, installed where that is possible."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from deepsynth_host.errors import ToolError

PATIENCE: Final = ("-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5")
"""A new machine may be running its own updates."""


def install_packages(packages: Sequence[str], otherwise: str) -> None:
    """Install what is missing. Raises ToolError: `otherwise` where only a user can install, else what apt-get said."""
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ToolError(otherwise)
    print(f"installing {' '.join(packages)}", flush=True)
    install = ["install", "-y", "-qq", "--no-install-recommends", *packages]
    if _run_apt(*install).returncode:
        _run_apt("update", "-qq")  # the package lists of a new machine may be empty or old
        done = _run_apt(*install)
        if done.returncode:
            raise ToolError(f"apt-get could not install {' '.join(packages)}: {done.stderr.strip()[-500:]}")


def _run_apt(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *PATIENCE, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
