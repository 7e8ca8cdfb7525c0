"""The kernel's own record of which processes belong to a machine: a control group per machine.

A process cannot leave it and its children are born into it, so nothing that a killed run left behind is missed, and
no reused process id is ever mistaken for ours.
"""

import errno
import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deepsynth_cluster.cache import ClusterError
from deepsynth_cluster.waiting import wait_until

KILL_SECONDS = 60.0
REMOVE_SECONDS = 60.0


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
            for level in _levels(hierarchy, folder):
                _fill_cpuset(level)
                _weigh(level)

    def processes(self) -> frozenset[int]:
        """Return every process in it and below it."""
        members = (file for folder in self.folders() for file in folder.glob("**/cgroup.procs"))
        return frozenset(pid for file in members for pid in _read_pids(file))

    def kill(self) -> None:
        """End every process and return when none is left."""
        wait_until(self._kill_all, f"control group {self.path} has no process", KILL_SECONDS, every=0)

    def kill_processes(self, pids: Iterable[int]) -> None:
        """End some of its processes and return when they are gone, with all that they held."""
        with ExitStack() as stack:
            handles = {pid: handle for pid in pids if (handle := _open_process(pid, stack)) is not None}
            # A handle stays the same process's. If the number was given anew before, that one is not in here.
            members = self.processes()
            ours = [handle for pid, handle in handles.items() if pid in members]
            for handle in ours:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            for handle in ours:
                _wait_for_end(handle, self.path)

    def remove(self) -> None:
        """Remove it and all below it, once its processes are gone."""
        for folder in self.folders():
            for path in sorted(_folders_below(folder), reverse=True):
                wait_until(partial(_remove, path), f"control group {path} can be removed", REMOVE_SECONDS, every=0.05)

    def _kill_all(self) -> bool:
        """Tell whether there was no process to end."""
        pids = self.processes()
        self.kill_processes(pids)
        return not pids


def _levels(hierarchy: Path, folder: Path) -> Iterator[Path]:
    """Go down to a folder from the one below its hierarchy's root."""
    parts = folder.relative_to(hierarchy).parts
    return (hierarchy.joinpath(*parts[: depth + 1]) for depth in range(len(parts)))


def _fill_cpuset(folder: Path) -> None:
    """A new group of version 1's cpuset takes no process before it says on which processors."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        target = folder / file
        if target.exists() and not target.read_text().strip():
            target.write_text((folder.parent / file).read_text())


def _weigh(folder: Path) -> None:
    """Let a cluster weigh ten processes on a busy machine: as one, its nodes would miss their leases."""
    for file, weight in (("cpu.shares", "10240"), ("cpu.weight", "1000")):
        if (folder / file).exists():
            (folder / file).write_text(weight)


def _folders_below(folder: Path) -> Iterator[Path]:
    return (Path(path) for path, _, _ in os.walk(folder))


def _remove(folder: Path) -> bool:
    """Tell whether it is gone: the kernel may hold a group for a moment after its last process."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def _read_pids(file: Path) -> list[int]:
    try:
        return [int(line) for line in file.read_text().split()]
    except OSError:  # the group went away meanwhile
        return []


def _open_process(pid: int, stack: ExitStack) -> int | None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    stack.callback(os.close, handle)
    return handle


def _wait_for_end(handle: int, path: str) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    if not poll.poll(KILL_SECONDS * 1000):
        raise ClusterError(f"a process of control group {path} does not end: see /proc/PID/stack of those in it")
