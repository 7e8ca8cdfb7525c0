"""Control groups, one per machine: the kernel's record of which processes belong to it.

A process cannot leave its group and its children start in it. So everything that a killed run left behind is found, and
a reused process id is never mistaken for one of ours.
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

from deepsynth_cluster.commands import wait_until
from deepsynth_cluster.errors import ClusterError

KILL_SECONDS = 60.0
REMOVE_SECONDS = 60.0


def hierarchies() -> tuple[Path, ...]:
    """Where control groups are mounted: one folder with version 2, several with version 1."""
    found = parse_mounts(Path("/proc/self/mounts").read_text())
    if not found:
        raise ClusterError("control groups are not mounted: mount them, or set KUBECONFIG to an existing cluster")
    return found


def parse_mounts(mounts: str) -> tuple[Path, ...]:
    """The mount points of control groups in the format of /proc/self/mounts.

    A line is `cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0`: device, mount point, type, options.
    """
    lines = [line.split() for line in mounts.splitlines()]
    return tuple(Path(line[1]) for line in lines if line[2] in {"cgroup", "cgroup2"})


@dataclass(frozen=True)
class ControlGroup:
    path: str
    """Below each hierarchy's mount point, like a kubelet's cgroupRoot."""

    def folders(self) -> tuple[Path, ...]:
        return tuple(hierarchy / self.path for hierarchy in hierarchies())

    def create(self) -> None:
        for hierarchy, folder in zip(hierarchies(), self.folders(), strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            for level in _levels(hierarchy, folder):
                _fill_cpuset(level)
                _weigh(level)

    def processes(self) -> frozenset[int]:
        """Ids of the processes in it and below it."""
        members = (file for folder in self.folders() for file in folder.glob("**/cgroup.procs"))
        return frozenset(pid for file in members for pid in _read_pids(file))

    def kill(self) -> None:
        """End all processes in it, and return when none is left."""
        wait_until(self._kill_all, f"control group {self.path} has no process", KILL_SECONDS, every=0)

    def kill_processes(self, pids: Iterable[int]) -> None:
        """End some of its processes, and return when the kernel has released all that they held."""
        with ExitStack() as stack:
            handles = {pid: handle for pid in pids if (handle := _open_process(pid, stack)) is not None}
            # A handle always means the same process. If the id was reused before it was opened, the new process is not
            # a member.
            members = self.processes()
            ours = [handle for pid, handle in handles.items() if pid in members]
            for handle in ours:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            for handle in ours:
                _wait_for_end(handle, self.path)

    def remove(self) -> None:
        """Remove it and all groups below it. Its processes must have ended."""
        for folder in self.folders():
            for path in sorted(_folders_below(folder), reverse=True):
                wait_until(partial(_remove, path), f"control group {path} can be removed", REMOVE_SECONDS, every=0.05)

    def _kill_all(self) -> bool:
        """Whether there was no process to end."""
        pids = self.processes()
        self.kill_processes(pids)
        return not pids


def _levels(hierarchy: Path, folder: Path) -> Iterator[Path]:
    """Each folder on the way from the hierarchy's root to this one, from the top down."""
    parts = folder.relative_to(hierarchy).parts
    return (hierarchy.joinpath(*parts[: depth + 1]) for depth in range(len(parts)))


def _fill_cpuset(folder: Path) -> None:
    """With version 1, a new cpuset accepts no process until its processors are set."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        target = folder / file
        if target.exists() and not target.read_text().strip():
            target.write_text((folder.parent / file).read_text())


def _weigh(folder: Path) -> None:
    """Give the cluster ten times the default weight, or its nodes would miss their leases on a busy machine."""
    for file, weight in (("cpu.shares", "10240"), ("cpu.weight", "1000")):
        if (folder / file).exists():
            (folder / file).write_text(weight)


def _folders_below(folder: Path) -> Iterator[Path]:
    return (Path(path) for path, _, _ in os.walk(folder))


def _remove(folder: Path) -> bool:
    """Whether it is removed. The kernel may keep a group busy for a moment after its last process."""
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
    except OSError:  # the group was removed meanwhile
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
        raise ClusterError(
            f"a process of {path} still runs {KILL_SECONDS:.0f} s after SIGKILL: see its /proc/PID/stack"
        )
