"""A process that gets no more memory than a pod with this limit, and what it took."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIMIT_BYTES: Final = 2**30
_SAMPLE_SECONDS: Final = 0.05
_ROOT: Final = Path("/sys/fs/cgroup")
_JOIN: Final = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'


@dataclass(frozen=True)
class Measured:
    """anonymous: most bytes at any time, of the process and its children. printed: the words that it printed."""

    seconds: float
    anonymous: int
    printed: Sequence[str]


class Group:
    """A control group with a memory limit, of page cache too, as that of a pod."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def join(self, command: Sequence[str]) -> list[str]:
        """The command, which runs in the group."""
        return ["sh", "-c", _JOIN, "sh", str(self._path), *command]

    def read_anonymous(self) -> int:
        """Bytes that the kernel cannot free."""
        lines = dict(line.split(maxsplit=1) for line in (self._path / "memory.stat").read_text().splitlines())
        return int(lines["total_rss"] if "total_rss" in lines else lines["anon"])

    def read_cpu_seconds(self) -> float:
        """Of the processes that are alive."""
        ticks = 0
        for pid in self._list_processes():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """What is left of it, such as children of a process that was killed."""
        while pids := self._list_processes():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_SAMPLE_SECONDS)

    def _list_processes(self) -> list[int]:
        return [int(pid) for pid in (self._path / "cgroup.procs").read_text().split()]


def measure(command: Sequence[str], environment: Mapping[str, str], limit: int = LIMIT_BYTES) -> Measured:
    """Run it in a control group with this limit. Exits where the command fails."""
    with make_group(limit) as group:
        began, most = time.monotonic(), 0
        with subprocess.Popen(group.join(command), stdout=subprocess.PIPE, text=True, env=dict(environment)) as process:
            try:
                while process.poll() is None:
                    most = max(most, group.read_anonymous())
                    time.sleep(_SAMPLE_SECONDS)
            finally:
                group.kill()
            printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        killed = " (killed: it needed more memory than the limit)" if process.returncode in {-9, 137} else ""
        sys.exit(f"{printed[-3000:]}\n{' '.join(command)} ended with {process.returncode}{killed}, {most:,} bytes")
    return Measured(time.monotonic() - began, most, printed.split())


@contextmanager
def make_group(limit: int) -> Iterator[Group]:
    """Version 1 has a folder for memory, version 2 one for all. Needs root."""
    version_1 = (_ROOT / "memory").is_dir()
    group = (_ROOT / "memory" if version_1 else _ROOT) / f"benchmark-large-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(limit))
    except OSError as error:
        sys.exit(f"cannot limit memory by a control group ({error}): run this as root, on Linux")
    try:
        yield Group(group)
    finally:
        group.rmdir()
