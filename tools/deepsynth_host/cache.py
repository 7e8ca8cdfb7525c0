"""The cache of everything that is slow to make, with locks so that two processes do not make it twice.

folder = cache_folder("binaries")           ~/.cache/deepsynth/binaries
with locked(folder / "lock"):               another process that builds the same waits here
require_free_space(folder, 6.0, "building etcd")
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepsynth_host.errors import ToolError

GIB = 1 << 30


def cache_folder(*parts: str) -> Path:
    """A folder below `$DEEPSYNTH_CACHE` (default: ~/.cache/deepsynth), created if it is missing."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepsynth"
    folder = Path(os.environ.get("DEEPSYNTH_CACHE") or base).joinpath(*parts).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock among processes. The kernel releases it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that holds {path}", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def require_free_space(folder: Path, gib: float, purpose: str) -> None:
    """Raises ToolError with both figures."""
    free = shutil.disk_usage(folder).free / GIB
    if free < gib:
        raise ToolError(
            f"{purpose} needs {gib:.1f} GiB in {folder}, {free:.1f} GiB are free: free some, or set DEEPSYNTH_CACHE"
        )
