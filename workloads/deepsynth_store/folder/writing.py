"""Staging and publishing in a folder.

    TARGET/.deepsynth-DIGEST/    staging: hidden, and in the target so that files can be published by hard links
    TARGET/deepsynth/publishing  the journal: exists while a publish is running, and readers then refuse to read
    TARGET/deepsynth/.lock       one publisher at a time

Publishing replaces files one by one: write the journal, delete the old manifest and files, link the staged files, write
the new manifest, remove the journal. A process can be killed at any point, and the next one repeats all of it: links
leave the staged files in place until the end.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_store.core.atomic import (
    explain_full_disk,
    fsync_folder,
    make_folder_durably,
    partial_name,
    rename_durably,
    write_file_atomically,
)
from deepsynth_store.core.file_listing import (
    find_superseded,
    read_content,
    refuse_foreign_files,
    require_agreement,
    require_staged,
)
from deepsynth_store.core.interface import MANIFEST, Published, StoredFile
from deepsynth_store.core.uri import FolderLocation
from deepsynth_store.folder.reading import JOURNAL, compute_folder_revision, walk_files

_LOCK = "deepsynth/.lock"
_REFUSALS = {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EROFS}
"""Repeating does not help: the place itself is wrong."""


class FolderTarget:
    """See DatasetTarget. The revision is the manifest's sha256."""

    def __init__(self, location: FolderLocation, digest: str, *, field: str) -> None:
        self.uri = location.uri
        self._root = location.path
        self._staging = location.path / f".deepsynth-{digest}"
        self._field = field

    def prepare(self) -> None:
        with explain_full_disk(self._staging), self._explain_refusal():
            make_folder_durably(self._staging)
            make_folder_durably(self._root / "deepsynth")
            with self._lock():
                if not (self._root / JOURNAL).exists():
                    refuse_foreign_files(self._read_manifest(), self._list_present(), self.uri, self._field)

    def put(self, files: Mapping[str, bytes | Path]) -> None:
        with self._explain_refusal():
            for path, content in files.items():
                write_file_atomically(self._find_staged(path), content)

    def list_staged(self, prefix: str = "") -> Sequence[StoredFile]:
        return [StoredFile(path, size, None) for path, size, _ in walk_files(self._staging) if path.startswith(prefix)]

    def get(self, path: str) -> bytes:
        with self.open_staged(path) as file:
            return file.read()

    def open_staged(self, path: str) -> BinaryIO:
        try:
            return self._find_staged(path).open("rb")
        except FileNotFoundError as error:
            raise DataError(f"{path} is not staged in {self._staging}") from error

    def publish(self, copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> str:
        with self._explain_refusal():
            make_folder_durably(self._root / "deepsynth")
            with self._lock():
                if not self._is_published(files):
                    self._replace_generation(copies, files)
                shutil.rmtree(self._staging, ignore_errors=True)
                return compute_folder_revision(self._root)

    def published(self) -> Published | None:
        manifest = None if (self._root / JOURNAL).exists() else self._read_manifest()
        return None if manifest is None else Published(compute_folder_revision(self._root), manifest)

    def _replace_generation(self, copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> None:
        require_agreement(copies, files)
        require_staged(copies, files, self.list_staged(), self.uri)
        journal = self._root / JOURNAL
        if not journal.exists():  # an interrupted publish leaves it, and with it the list of files to delete
            refuse_foreign_files(self._read_manifest(), self._list_present(), self.uri, self._field)
            write_file_atomically(journal, self._read_manifest() or b'{"files": []}')
        (self._root / MANIFEST).unlink(missing_ok=True)
        for path in self._find_leftovers(journal.read_bytes(), [*copies, *files]):
            (self._root / path).unlink()
        for path, staged in copies.items():
            self._link(self._find_staged(staged), self._root / path)
        for path in sorted(files, key=lambda path: path == MANIFEST):
            write_file_atomically(self._root / path, files[path])
        journal.unlink()
        fsync_folder(journal.parent)

    def _find_leftovers(self, previous: bytes, wanted: list[str]) -> list[str]:
        """Files of the previous generation, and all under data/ of one whose publish was interrupted."""
        present = self._list_present()
        superseded = set(find_superseded(previous, present, wanted, self.uri))
        interrupted = {path for path in present if path.startswith("data/")} - set(wanted)
        return sorted(superseded | interrupted)

    def _is_published(self, files: Mapping[str, bytes | Path]) -> bool:
        return not (self._root / JOURNAL).exists() and self._read_manifest() == read_content(files[MANIFEST])

    def _list_present(self) -> list[str]:
        return [path for path, _, _ in walk_files(self._root)]

    def _read_manifest(self) -> bytes | None:
        try:
            return (self._root / MANIFEST).read_bytes()
        except FileNotFoundError:
            return None

    def _find_staged(self, path: str) -> Path:
        if path.startswith("/") or any(part.startswith(".") for part in path.split("/")):
            raise DataError(f"{path!r} is not a path that can be staged")
        return self._staging / path

    def _link(self, source: Path, target: Path) -> None:
        """Make target a hard link to source, or a copy on a file system without hard links."""
        make_folder_durably(target.parent)
        partial = partial_name(target)
        partial.unlink(missing_ok=True)
        try:
            os.link(source, partial)
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}:
                raise
            write_file_atomically(target, source)
            return
        rename_durably(partial, target)
        partial.unlink(missing_ok=True)  # renaming a file to another link of itself leaves both names

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One publisher at a time. The kernel (or the NFS server) releases the lock when the process ends."""
        with (self._root / _LOCK).open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                raise ConfigurationError(
                    f"{self._field}: {self.uri} is on a file system without locks; choose another volume"
                ) from error
            yield

    @contextlib.contextmanager
    def _explain_refusal(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            raise ConfigurationError(
                f"{self._field}: {self.uri} cannot be written ({error}); name a folder that this process can write"
            ) from error
