"""Where built images are kept between builds."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepsynth_images.errors import ImageError

GIB = 1 << 30


def find_cache() -> Path:
    """`$DEEPSYNTH_CACHE/images`, made if need be."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepsynth"
    folder = Path(os.environ.get("DEEPSYNTH_CACHE") or base).resolve() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def require_free_space(folder: Path, gib: float, purpose: str) -> None:
    """Raises ImageError with both figures."""
    free = shutil.disk_usage(folder).free / GIB
    if free < gib:
        raise ImageError(
            f"{purpose} needs {gib:.0f} GiB in {folder}, {free:.1f} GiB are free: free some, or set DEEPSYNTH_CACHE"
        )


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """One build at a time: a second one finds what the first has built."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another build, which holds {lock.name}", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
