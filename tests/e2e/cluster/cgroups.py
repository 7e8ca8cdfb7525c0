"""The kernel's own record of which processes belong to a machine: a control group per machine.

A process cannot leave it and its children are born into it, so nothing that a killed run left behind is missed, and
no reused process id is ever mistaken for ours.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.cache import ClusterError

KILL_SECONDS = 20.0


def hierarchies() -> tuple[Path, ...]:
    """Return where control groups are mounted: one place with version 2, several with version 1."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = tuple(Path(mount[1]) for mount in mounts if mount[2] in {"cgroup", "cgroup2"})
    if not found:
        raise ClusterError("this machine has no control groups: mount them, or give a cluster by KUBECONFIG")
    return found


@dataclass(frozen=True)
class ControlGroup:
    path: str
    """Relative to each hierarchy, as a kubelet's cgroupRoot."""

    def folders(self) -> tuple[Path, ...]:
        return tuple(hierarchy / self.path for hierarchy in hierarchies())

    def create(self) -> None:
        for hierarchy, folder in zip(hierarchies(), self.folders(), strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            _fill_cpuset(hierarchy, folder)

    def processes(self) -> frozenset[int]:
        """Return every process in it and below it."""
        members = (file for folder in self.folders() for file in folder.glob("**/cgroup.procs"))
        return frozenset(pid for file in members for pid in _read_pids(file))

    def kill(self) -> None:
        """End every process and return when none is left."""
        deadline = time.monotonic() + KILL_SECONDS
        while pids := self.processes():
            for pid in pids:
                _kill(pid)
            if time.monotonic() > deadline:
                raise ClusterError(f"processes {sorted(pids)} of {self.path} do not end: see /proc/PID/stack")
            time.sleep(0.05)

    def remove(self) -> None:
        for folder in self.folders():
            for path in sorted(_folders_below(folder), reverse=True):
                path.rmdir()


def _fill_cpuset(hierarchy: Path, folder: Path) -> None:
    """A new group of version 1's cpuset takes no process before it says on which processors."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        source = hierarchy / file
        if not source.exists():
            continue
        for path in (*reversed(folder.relative_to(hierarchy).parents), folder.relative_to(hierarchy)):
            target = hierarchy / path / file
            if not target.read_text().strip():
                target.write_text(source.read_text())


def _folders_below(folder: Path) -> Iterator[Path]:
    return (Path(path) for path, _, _ in os.walk(folder))


def _read_pids(file: Path) -> list[int]:
    try:
        return [int(line) for line in file.read_text().split()]
    except OSError:  # the group went away meanwhile
        return []


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
