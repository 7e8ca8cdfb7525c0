"""Reading a dataset from a folder at a pinned revision."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from deepsynth_api.errors import ConfigurationError, DataError, TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.atomic import read_chunks
from deepsynth_store.core.download import write_download
from deepsynth_store.core.file_listing import parse_manifest
from deepsynth_store.core.interface import MANIFEST, OnBytes, StoredFile
from deepsynth_store.core.uri import FolderLocation

_OF_TOOLS: Final = frozenset(
    {".DS_Store", ".cache", ".git", ".gitattributes", ".gitignore", ".huggingface", ".ipynb_checkpoints", "lost+found"}
)
_OF_TOOLS_PREFIXES: Final = (".deepsynth-", ".nfs", "..")
"""Staging of datasets next to this one; files that an NFS client deletes later; how Kubernetes mounts a ConfigMap."""

JOURNAL = "deepsynth/publishing"
"""Exists while a publish is running: the folder then holds parts of two generations and must not be read."""


class FolderDataset:
    """See DatasetFolder. The revision is checked at each opening, so that two generations are never mixed."""

    def __init__(self, location: FolderLocation, revision: str | None, *, field: str) -> None:
        self.uri = location.uri
        self._root = location.path
        self._field = field
        with explain_unreadable(field, self.uri):
            self._open(location, revision)

    def _open(self, location: FolderLocation, revision: str | None) -> None:
        if not location.path.is_dir():
            raise ConfigurationError(f"{self._field}: {location.uri} not found (no folder or file {location.path})")
        self.revision = compute_folder_revision(self._root)
        if revision is not None and revision != self.revision:
            raise DataError(
                f"{self.uri} has changed: expected revision {revision}, got {self.revision}; "
                "restore the earlier content, or delete and re-apply the resource"
            )
        manifest = self._root / MANIFEST
        self._known = parse_manifest(manifest.read_bytes(), self.uri) if manifest.exists() else {}

    def list_files(self, prefix: str = "") -> Sequence[StoredFile]:
        with explain_unreadable(self._field, self.uri):
            self._check_unchanged()
            return self._list_files(prefix)

    def _list_files(self, prefix: str) -> Sequence[StoredFile]:
        found = {path: size for path, size, _ in walk_files(self._root) if path.startswith(prefix)}
        return [
            StoredFile(path, size, self._known[path].sha256 if path in self._known else None)
            for path, size in found.items()
        ]

    def open(self, path: str) -> BinaryIO:
        with explain_unreadable(self._field, self.uri), contextlib.ExitStack() as closing:
            try:
                file = closing.enter_context(self._find(path).open("rb"))
            except (FileNotFoundError, IsADirectoryError) as error:
                raise DataError(f"{self.uri} holds no file {path}") from error
            self._check_unchanged()  # after opening: an open file keeps its content, even if its name is replaced
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
            raise DataError(f"{path!r} is not a path inside {self.uri}")
        return self._root / path

    def _check_unchanged(self) -> None:
        if (now := compute_folder_revision(self._root)) != self.revision:
            raise TemporaryError(f"{self.uri} changed while it was read (from {self.revision} to {now}); try again")


def compute_folder_revision(root: Path) -> str:
    """sha256 of the manifest or, without a manifest, of all paths, sizes and modification times.

    TemporaryError while a publish is running.
    """
    if (root / JOURNAL).exists():
        raise TemporaryError(
            f"{root} is being published, or a publish was interrupted; if this lasts, publish it again"
        )
    try:
        return hashlib.sha256((root / MANIFEST).read_bytes()).hexdigest()
    except FileNotFoundError:
        listing = "".join(f"{path}\0{size}\0{modified}\n" for path, size, modified in walk_files(root))
        return hashlib.sha256(os.fsencode(listing)).hexdigest()  # names need not be UTF-8


@contextlib.contextmanager
def explain_unreadable(field: str, uri: str) -> Iterator[None]:
    """Turn a PermissionError into a ConfigurationError that names the path and the remedy."""
    try:
        yield
    except PermissionError as error:
        raise ConfigurationError(
            f"{field}: {error.filename} of {uri} cannot be read ({error.strerror}); "
            f"make it readable for user {os.getuid()}: chmod a+r for a file, a+rx for a folder"
        ) from error


def walk_files(root: Path) -> list[tuple[str, int, int]]:
    """(relative path, bytes, modification time in ns) of each file that is not hidden, sorted.

    Only regular files: a pipe would never end. PermissionError for a folder that cannot be listed: its files would be
    missing without notice.
    """
    found = []
    for folder, _, names in _walk(root):
        for name in names:
            if not name.startswith("."):
                path = folder / name
                status = _find_status(path)
                if status is not None and stat.S_ISREG(status.st_mode):
                    found.append((path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns))
    return sorted(found)


def explain_unlisted(root: Path) -> dict[str, Reason]:
    """Why `walk_files` does not list what else is there: relative path -> reason, sorted. A folder is one entry.

    Links to folders are not followed: they may lead out of root, or in a circle. Left unsaid is what belongs to tools
    and not to the data, such as .git.
    """
    found = {}
    for folder, folders, names in _walk(root, hidden=True):
        for name in (*folders, *names):
            reason = _explain_name(folder / name)
            if reason and not _is_of_tool(name):
                found[(folder / name).relative_to(root).as_posix()] = reason
    return dict(sorted(found.items()))


def _explain_name(path: Path) -> Reason | None:
    if path.name.startswith("."):
        return Reason.HIDDEN
    status = _find_status(path)
    if status is None:
        return Reason.DEAD_LINK if path.is_symlink() else None  # None: deleted since the listing
    if stat.S_ISDIR(status.st_mode):
        return Reason.LINKED_FOLDER if path.is_symlink() else None
    return None if stat.S_ISREG(status.st_mode) else Reason.SPECIAL_FILE


def _is_of_tool(name: str) -> bool:
    return name in _OF_TOOLS or name.startswith(_OF_TOOLS_PREFIXES)


def _walk(root: Path, *, hidden: bool = False) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder that is not hidden, with the names of its folders and files. hidden: with names of hidden folders."""
    for folder, every, names in os.walk(root, onerror=_refuse_unlisted):
        # lost+found is at the root of volumes and belongs to the system.
        entered = [name for name in every if not name.startswith(".") and name != "lost+found"]
        yield Path(folder), every if hidden else entered, names
        every[:] = entered


def _find_status(path: Path) -> os.stat_result | None:
    """None for a file deleted since the listing, and for a link that leads nowhere or to itself."""
    try:
        return path.stat()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return None
        raise


def _refuse_unlisted(error: OSError) -> None:
    if isinstance(error, PermissionError):  # any other error means that the folder was deleted since the listing
        raise error
