"""Processes that workers left behind: none may live on when the next workers start, or it could still write."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROUND_VARIABLE: Final = "DEEPSYNTH_ROUND"
"""In the environment of all workers of one start, and so of their children: its run folder."""
MAX_WAIT: Final = 10.0
_PAUSE: Final = 0.02


def end_leftovers(groups: Sequence[int], marker: str, max_wait: float = MAX_WAIT) -> list[int]:
    """Kill what is left of the workers. Returns the ids of processes that do not end, such as in a broken file system.

    groups: process groups, one per worker. marker: value of ROUND_VARIABLE, for those that have left their group.
    """
    deadline = time.monotonic() + max_wait
    while True:
        left = _find(groups, marker)
        if not left or time.monotonic() > deadline:
            return left
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)


def count_memory_kills() -> int:
    """Processes of this container that the kernel killed because its memory was full; 0 where that is not known."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        line = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        events = Path("/sys/fs/cgroup") / line[3:].lstrip("/") / "memory.events"
        return next(int(line.split()[1]) for line in events.read_text().splitlines() if line.startswith("oom_kill "))
    return 0


def _find(groups: Sequence[int], marker: str) -> list[int]:
    wanted = f"{ROUND_VARIABLE}={marker}".encode()
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and _is_left(pid, groups, wanted)]


def _is_left(pid: int, groups: Sequence[int], wanted: bytes) -> bool:
    """Whether it is one of them. A zombie is not: it only waits for its parent."""
    try:
        state, _, group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
        if state in "ZX":
            return False
        return int(group) in groups or wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return False
