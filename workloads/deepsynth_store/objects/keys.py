"""Which object holds which file of a dataset. Pure.

Files below `data/` get the name of their publish, a generation, so that no name is ever used twice: a request that
arrives late, of a process that was replaced, can then neither overwrite nor delete what a later publish has written.

    data/train-00000.parquet, generation 3f2a9c1b7d4e -> data/train-00000-3f2a9c1b7d4e.parquet

Other files keep their names, because other programs look for them: README.md, config.json of a model.
"""

import hashlib
import re
from pathlib import PurePosixPath
from typing import Final

from deepsynth_store.core.file_listing import DATA_FOLDER

_MARK: Final = re.compile(r"-([0-9a-f]{12})(\.[^./]*)?$")


def derive_generation(previous: str, manifest: bytes) -> str:
    """The name of the publish of `manifest` after the publish `previous` (empty: none, or not by DeepSynth).

    Processes that publish the same after the same have the same name, so one continues the other's work. Publishing A,
    B and A again has three names.
    """
    content = hashlib.sha256(manifest).hexdigest()
    return hashlib.sha256(f"{previous}\0{content}".encode()).hexdigest()[:12]


def build_key(path: str, generation: str) -> str:
    """The object of a dataset's file, relative to the dataset. generation: empty for files that keep their names."""
    if not generation or not path.startswith(DATA_FOLDER):
        return path
    found = PurePosixPath(path)
    return str(found.with_name(f"{found.stem}-{generation}{found.suffix}"))


def find_generation(key: str) -> str | None:
    """The generation in the name of an object; None if it has none."""
    match = _MARK.search(key) if key.startswith(DATA_FOLDER) else None
    return match.group(1) if match else None


def is_hidden(key: str) -> bool:
    """Whether readers skip it: staging, and the files of other programs that begin with a dot."""
    return any(part.startswith(".") for part in key.split("/"))
