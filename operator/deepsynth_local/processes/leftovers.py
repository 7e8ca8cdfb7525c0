"""Find and kill every process of a pod, also those that left its process group or lost their parent.

Processes are found by a marker in their environment, which Linux shows in /proc/PID/environ. Process ids are not
stored: after a while another process may have the same one.
"""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

RUNS_MARKER: Final = "DEEPSYNTH_LOCAL_RUNS"
"""Environment variable with the runs folder, in every process of every pod: leftovers are found by it."""
POD_MARKER: Final = "DEEPSYNTH_LOCAL_POD"
"""As above, with the uid of the pod."""
MAX_POD_MARKER_LENGTH: Final = 64
"""Longer uids cannot be shown by a process that was forked."""
_PROC: Final = Path("/proc")
MAX_WAIT_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.005


def find_processes(marker: str, value: str) -> list[int]:
    """Ids of this user's processes with marker=value in their environment, without this one."""
    wanted = os.fsencode(f"{marker}={value}")  # as the environment has it: a path need not be UTF-8
    entries = [entry for entry in _PROC.iterdir() if entry.name.isdigit()] if _PROC.is_dir() else []
    found = [int(entry.name) for entry in entries if wanted in _read_environment(entry)]
    return [pid for pid in found if pid != os.getpid()]


def kill_processes(marker: str, value: str, max_wait: float = MAX_WAIT_SECONDS) -> int:
    """Kill these processes, and those they start meanwhile, and wait for their end. Returns their number.

    After `max_wait` seconds it stops waiting: a process may hang in the kernel, for example on a network file system.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + max_wait
    while (alive := find_processes(marker, value)) and time.monotonic() < deadline:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(alive)
        time.sleep(_PAUSE_SECONDS)
    return len(killed)


def _read_environment(entry: Path) -> list[bytes]:
    """Empty for processes that have ended, zombies, and processes of other users."""
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
