"""Find and kill every process of a pod, also those that left its process group or lost their parent.

Each carries a marker in its environment (Linux shows it in /proc); no process id is stored, so none can be stale.
"""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PATIENCE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.005


def find_processes(marker: str, value: str) -> list[int]:
    """Ids of the processes of this user whose environment holds marker=value; not this one."""
    wanted = f"{marker}={value}".encode()
    entries = [entry for entry in _PROC.iterdir() if entry.name.isdigit()] if _PROC.is_dir() else []
    found = [int(entry.name) for entry in entries if wanted in _read_environment(entry)]
    return [pid for pid in found if pid != os.getpid()]


def kill_processes(marker: str, value: str) -> int:
    """SIGKILL them all, and what they started meanwhile; return when they are gone. Returns how many there were.

    One that sleeps in the kernel, on a dead network disk say, is left to it after a while.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (alive := find_processes(marker, value)) and time.monotonic() < deadline:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(alive)
        time.sleep(_PAUSE_SECONDS)
    return len(killed)


def _read_environment(entry: Path) -> list[bytes]:
    """Empty for processes that ended meanwhile, zombies, and those of other users."""
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
