"""The list `files` of deepsynth/manifest.json, and the checks that rest on it.

    {"files": [{"path": "data/train-00000.parquet", "size": 123456, "sha256": "9f86..."}], ...}

The list says which files belong to a dataset, so that the next generation knows which of them to delete. All other keys
are the writer's: see deepsynth_render.documents.dataset_manifest for those of the renderer.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.errors import ConfigurationError, DataError, InternalError
from deepsynth_store.core.interface import MANIFEST, OWN_FOLDER, README, StoredFile

DATA_FOLDER = "data/"
MAX_POINTER_BYTES: Final = 1024
"""Git LFS says so of its pointers, the small files that a clone without it has in the place of large ones."""


def is_lfs_pointer(content: bytes) -> bool:
    return content.startswith(b"version https://git-lfs")


def parse_manifest(content: bytes, where: str) -> dict[str, StoredFile]:
    """Path -> file. DataError that names `where` when it is not a manifest or lists a path outside the dataset."""
    try:
        files = [
            StoredFile(str(entry["path"]), int(entry["size"]), str(entry["sha256"]))
            for entry in json.loads(content)["files"]
        ]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{where}/{MANIFEST} is not a manifest ({error!r}); publish the dataset again") from error
    for file in files:
        if file.path.startswith("/") or ".." in file.path.split("/"):
            raise DataError(f"{where}/{MANIFEST} lists {file.path!r}, which is outside the dataset")
    return {file.path: file for file in files}


def find_superseded(previous: bytes | None, present: Iterable[str], wanted: Iterable[str], where: str) -> list[str]:
    """Paths to delete: listed by the previous generation, still present, and not part of the next generation."""
    if previous is None:
        return []
    return sorted(set(parse_manifest(previous, where)) & set(present) - set(wanted))


def refuse_foreign_files(previous: bytes | None, present: Iterable[str], where: str, field: str) -> None:
    """ConfigurationError when `data/` holds files that no manifest lists: readers would take them for new pages."""
    known: Mapping[str, StoredFile] = {} if previous is None else parse_manifest(previous, where)
    foreign = sorted(path for path in present if path.startswith(DATA_FOLDER) and path not in known)
    if foreign:
        raise ConfigurationError(
            f"{field}: {where} holds {counted(len(foreign), 'file')} under data/ that no DatasetGeneration wrote "
            f"(first: {foreign[0]}), and readers would mix them with the new ones; delete them or choose another place"
        )


def require_agreement(copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> None:
    """InternalError unless the new manifest lists exactly the given files. README.md and those about the dataset need
    not be listed: they have the same path in each generation, so they are replaced one by one.
    """
    given = {*copies, *files}
    listed = set(parse_manifest(read_content(files[MANIFEST]), "the new dataset"))
    unlisted = {path for path in given - listed if path != README and not path.startswith(OWN_FOLDER)}
    if disagreeing := sorted((listed - given) | unlisted):
        raise InternalError(f"the manifest and the files to publish disagree about {', '.join(disagreeing[:5])}")


def list_expected(files: Mapping[str, bytes | Path]) -> list[StoredFile]:
    """What a published revision holds: the files that the manifest in `files` lists, and `files` themselves."""
    listed = parse_manifest(read_content(files[MANIFEST]), "the new dataset")
    return [*listed.values(), *(StoredFile(path, size_of(files[path]), None) for path in files if path not in listed)]


def require_staged(
    copies: Mapping[str, str], files: Mapping[str, bytes | Path], staged: Iterable[StoredFile], where: str
) -> None:
    """DataError unless every file to copy is staged as the manifest lists it. Called before anything is deleted."""
    wanted, present = {file.path: file for file in list_expected(files)}, {file.path: file for file in staged}
    for path, source in copies.items():
        if source not in present or not is_same_content(present[source], wanted[path]):
            raise DataError(
                f"{source} is not staged for {where} as the manifest lists it (expected {wanted[path]}, "
                f"got {present.get(source)}); delete and re-apply the resource to render it again; others are kept"
            )


def is_same_content(one: StoredFile, other: StoredFile) -> bool:
    """Whether the sizes are equal, and the hashes too where both are known."""
    known = {one.sha256, other.sha256} - {None}
    return one.size == other.size and len(known) <= 1


def read_content(content: bytes | Path) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def size_of(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
