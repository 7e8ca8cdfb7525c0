"""The files of a source: a folder or a Hub repository, or one file on its own."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_store import OnWait, StoredFile, open_dataset
from deepsynth_store.core.uri import FolderLocation, parse_uri
from deepsynth_store.folder.reading import explain_unlisted, explain_unreadable

FIELD = "spec.source.uri"


class SourceFiles(Protocol):
    """The part of DatasetFolder that sources need."""

    @property
    def uri(self) -> str: ...
    @property
    def revision(self) -> str: ...
    def list_files(self, prefix: str = "") -> Sequence[StoredFile]: ...
    def open(self, path: str) -> BinaryIO: ...
    def read(self, path: str) -> bytes: ...


def open_files(uri: str, revision: str | None, on_wait: OnWait | None, field: str = FIELD) -> SourceFiles:
    """The files at `uri`, pinned at a revision. See open_dataset for errors. field: of the URI, for messages."""
    location = parse_uri(uri, field)
    with explain_unreadable(field, uri):
        if isinstance(location, FolderLocation) and location.path.is_file():
            return SingleFile(uri, location.path, revision, field)
    return open_dataset(uri, revision, field=field, on_wait=on_wait)


def find_unlisted(uri: str, field: str = FIELD) -> dict[str, Reason]:
    """What is below `uri` and not among its files, with the reason; nothing in other places than a folder."""
    location = parse_uri(uri, field)
    with explain_unreadable(field, uri):
        if isinstance(location, FolderLocation) and location.path.is_dir():
            return explain_unlisted(location.path)
    return {}


class SingleFile:
    """A source that is one file. The revision is a digest of its name, size and modification time."""

    def __init__(self, uri: str, path: Path, revision: str | None, field: str) -> None:
        self.uri = uri
        self._field = field
        self._path = path
        status = path.stat()
        self._file = StoredFile(path.name, status.st_size, None)
        stamp = f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}"
        self.revision = hashlib.sha256(stamp.encode()).hexdigest()
        if revision not in {None, self.revision}:
            raise DataError(f"{uri} has changed since it was planned; restore it, or delete and re-apply the resource")

    def list_files(self, prefix: str = "") -> Sequence[StoredFile]:
        return [self._file] if self._file.path.startswith(prefix) else []

    def open(self, path: str) -> BinaryIO:
        with explain_unreadable(self._field, self.uri):
            return self._path.with_name(path).open("rb")

    def read(self, path: str) -> bytes:
        with self.open(path) as file:
            return file.read()
