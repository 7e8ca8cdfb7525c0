"""Local files that are either complete or absent, even after a power cut."""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from deepsynth_api.errors import TemporaryError
from deepsynth_api.reasons import Reason

_CHUNK_BYTES: Final = 2**18
"""How much of a file is read at once, wherever a file is copied: what fits the processor's cache and memory that the
process already has. With 8 MB, copying takes five times as long.
"""


def write_file_atomically(path: Path, content: bytes | Path) -> None:
    """Replace `path` with `content` (bytes, or a file to copy) and flush the file and its folder to the disk.

    A reader sees either the old content or the new one. TemporaryError when the disk is full.
    """
    partial = partial_name(path)
    with explain_full_disk(path):
        make_folder_durably(path.parent)
        try:
            _write(partial, content)
            rename_durably(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def partial_name(path: Path) -> Path:
    """A hidden name next to `path` for its unfinished content. No two processes use the same one.

    /data/train.parquet -> /data/.train.parquet.node-7-1234.partial
    """
    return path.with_name(f".{path.name}.{os.uname().nodename}-{os.getpid()}.partial")


def rename_durably(source: Path, target: Path) -> None:
    """Rename (replacing a file of that name) and flush the target's folder."""
    source.replace(target)
    fsync_folder(target.parent)


def make_folder_durably(folder: Path) -> None:
    """Create a folder and its parents so that they survive a power cut. The folder may exist already."""
    if folder.is_dir():
        return
    make_folder_durably(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync_folder(folder.parent)


def fsync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    _fsync(path)


def fsync_folder(folder: Path) -> None:
    """Flush a folder's entries (creations, renames, deletions) to the disk."""
    _fsync(folder)


def compute_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """The rest of an open file, a part at a time."""
    return iter(lambda: file.read(_CHUNK_BYTES), b"")


@contextlib.contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn "no space left" into a TemporaryError that says where, how much is free and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise TemporaryError(
            f"no space left for {path} ({free_bytes(path.parent):,} bytes free); enlarge the volume, or "
            "delete files that are no longer needed there",
            reason=Reason.DISK_FULL,
        ) from error


def free_bytes(folder: Path) -> int:
    """Bytes that this process can still write below `folder`, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _write(path: Path, content: bytes | Path) -> None:
    with path.open("wb") as target:
        if isinstance(content, bytes):
            target.write(content)
        else:
            with content.open("rb") as source:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
        target.flush()
        os.fsync(target.fileno())


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
