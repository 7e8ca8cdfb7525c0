"""The part of `deepsynth/manifest.json` that the store itself relies on: which files, how large, which content."""

import json
from collections.abc import Iterable, Mapping

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_store.interface import MANIFEST, StoredFile

DATA_FOLDER = "data/"


def parse_manifest(content: bytes, where: str) -> dict[str, StoredFile]:
    """Path -> file. DataError, naming `where`, when it is not a manifest or names a path outside the data set."""
    try:
        files = [
            StoredFile(str(entry["path"]), int(entry["size"]), str(entry["sha256"]))
            for entry in json.loads(content)["files"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}/{MANIFEST} is not a manifest ({error!r}).") from error
    for file in files:
        if file.path.startswith("/") or ".." in file.path.split("/"):
            raise DataError(f"{where}/{MANIFEST} names {file.path!r}, which is outside the data set.")
    return {file.path: file for file in files}


def find_superseded(previous: bytes | None, present: Iterable[str], wanted: Iterable[str], where: str) -> list[str]:
    """Paths of the previous generation (those in its manifest that are still present) that the next one lacks."""
    if previous is None:
        return []
    return sorted(set(parse_manifest(previous, where)) & set(present) - set(wanted))


def refuse_foreign_files(previous: bytes | None, present: Iterable[str], where: str, field: str) -> None:
    """ConfigurationError when `data/` holds files of no manifest: readers would take them for part of the data set."""
    known: Mapping[str, StoredFile] = {} if previous is None else parse_manifest(previous, where)
    foreign = sorted(path for path in present if path.startswith(DATA_FOLDER) and path not in known)
    if foreign:
        raise ConfigurationError(
            f"{field}: {where} holds {len(foreign)} file(s) under data/ that no DatasetGeneration wrote "
            f"(first {foreign[0]}); readers would mix them with the new ones. Delete them or choose another place."
        )
