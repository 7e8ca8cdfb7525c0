"""Reading a data set from a folder: file:// and pvc://."""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from deepsynth_api.errors import ConfigurationError, DataError, TemporaryError
from deepsynth_store.download import read_chunks, write_download
from deepsynth_store.interface import MANIFEST, OnBytes, StoredFile
from deepsynth_store.manifest import parse_manifest
from deepsynth_store.uri import FolderLocation

JOURNAL = "deepsynth/publishing"
"""Stands while a publish is under way: the folder then holds parts of two generations and is not to be read."""


class FolderDataset:
    """See DatasetFolder. The revision is compared again at each opening, so that two generations never mix."""

    def __init__(self, location: FolderLocation, revision: str | None, *, field: str) -> None:
        if not location.path.is_dir():
            raise ConfigurationError(f"{field}: {location.uri} is not there (no folder {location.path}).")
        self.uri = location.uri
        self._root = location.path
        self.revision = compute_folder_revision(self._root)
        if revision is not None and revision != self.revision:
            raise DataError(
                f"{self.uri} has changed: it is at {self.revision}, pinned was {revision}. "
                "Put the earlier content back, or start anew with the present one."
            )
        manifest = self._root / MANIFEST
        self._known = parse_manifest(manifest.read_bytes(), self.uri) if manifest.exists() else {}

    def list_files(self, prefix: str = "") -> Sequence[StoredFile]:
        self._check_unchanged()
        found = {path: size for path, size, _ in walk_files(self._root) if path.startswith(prefix)}
        return [
            StoredFile(path, size, self._known[path].sha256 if path in self._known else None)
            for path, size in found.items()
        ]

    def open(self, path: str) -> BinaryIO:
        with contextlib.ExitStack() as closing:
            try:
                file = closing.enter_context(self._find(path).open("rb"))
            except (FileNotFoundError, IsADirectoryError) as error:
                raise DataError(f"{self.uri} holds no file {path}.") from error
            self._check_unchanged()  # after opening: what is open stays what it is
            closing.pop_all()
        return file

    def read(self, path: str) -> bytes:
        with self.open(path) as file:
            return file.read()

    def download(self, path: str, local_path: Path, on_bytes: OnBytes | None = None) -> StoredFile:
        with self.open(path) as file:
            expected = self._known.get(path) or StoredFile(path, os.fstat(file.fileno()).st_size, None)
            return write_download(read_chunks(file), expected, local_path, self.uri, on_bytes)

    def _find(self, path: str) -> Path:
        if path.startswith("/") or ".." in path.split("/"):
            raise DataError(f"{path!r} is not a path inside {self.uri}.")
        return self._root / path

    def _check_unchanged(self) -> None:
        if (now := compute_folder_revision(self._root)) != self.revision:
            raise TemporaryError(f"{self.uri} changed while it was read (from {self.revision} to {now}).")


def compute_folder_revision(root: Path) -> str:
    """sha256 of the manifest; without one, of all paths, sizes and modification times.

    TemporaryError while a publish is under way.
    """
    if (root / JOURNAL).exists():
        raise TemporaryError(
            f"{root} is being published right now, or a publish was interrupted: run it again if this stays."
        )
    try:
        return hashlib.sha256((root / MANIFEST).read_bytes()).hexdigest()
    except FileNotFoundError:
        listing = "".join(f"{path}\0{size}\0{modified}\n" for path, size, modified in walk_files(root))
        return hashlib.sha256(listing.encode()).hexdigest()


def walk_files(root: Path) -> list[tuple[str, int, int]]:
    """(relative path, bytes, modification time in ns) of each file, sorted; nothing hidden."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):  # deleted since the listing, so not there
                    status = path.stat()
                    found.append((path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns))
    return sorted(found)
