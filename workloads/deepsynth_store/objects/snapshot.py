"""A model in an object store as a folder on this machine, in a cache that its processes share."""

import fnmatch
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from deepsynth_store.core.atomic import make_folder_durably
from deepsynth_store.core.interface import OnWait
from deepsynth_store.core.uri import ObjectLocation
from deepsynth_store.objects.reading import ObjectDataset


def fetch_objects(
    location: ObjectLocation,
    revision: str | None,
    patterns: Sequence[str],
    *,
    field: str,
    on_wait: OnWait | None,
    on_progress: Callable[[], None] | None = None,
) -> Path:
    """Download the files that match `patterns`, except those that are there already. The folder has the name of the
    revision. A file appears when all of it is there and its hash is right.
    """
    dataset = ObjectDataset(location, revision, field=field, on_wait=on_wait)
    place = hashlib.sha256(location.uri.encode()).hexdigest()[:16]
    folder = _find_cache() / place / dataset.revision
    make_folder_durably(folder)
    for file in dataset.list_files():
        wanted = any(fnmatch.fnmatch(file.path, pattern) for pattern in patterns)
        if wanted and not (folder / file.path).exists():
            dataset.download(file.path, folder / file.path, lambda _: on_progress() if on_progress else None)
    return folder


def _find_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepsynth" / "models"
