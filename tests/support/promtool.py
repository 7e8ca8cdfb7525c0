"""Prometheus' own tool for rules. Debian's package has it, unpacked here without installing its server."""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest


@cache
def find_promtool() -> str:
    """Its program. Skips the test where there is none and none can be fetched."""
    kept = Path.home() / ".cache/deepsynth/promtool/usr/bin/promtool"
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if found is None and not kept.exists() and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        _fetch(kept.parents[2])
    if found is None and not kept.exists():
        pytest.skip("needs promtool: put it on the PATH, or name it in PROMTOOL (Debian: package prometheus)")
    return found or str(kept)


def _fetch(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        download = ["apt-get", "-o", "Acquire::Retries=5", "-qq", "download", "prometheus"]
        if subprocess.run(download, cwd=folder, check=False, capture_output=True).returncode:
            subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
            subprocess.run(download, cwd=folder, check=False, capture_output=True)
        for package in Path(folder).glob("prometheus_*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
            program = Path(folder, "usr/bin/promtool")
            (target / "usr/bin").mkdir(parents=True, exist_ok=True)
            staged = target / "usr/bin/promtool.new"
            shutil.copy2(program, staged)
            staged.rename(target / "usr/bin/promtool")


def run_promtool(*arguments: str) -> str:
    """What it prints; fails the test with that if it refuses."""
    done = subprocess.run([find_promtool(), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
