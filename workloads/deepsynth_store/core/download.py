"""From a stored file to a local one whose size and hash are checked."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.atomic import (
    explain_full_disk,
    free_bytes,
    fsync_file,
    make_folder_durably,
    partial_name,
    rename_durably,
)
from deepsynth_store.core.interface import OnBytes, StoredFile


def write_download(
    chunks: Iterable[bytes | memoryview], expected: StoredFile, local_path: Path, uri: str, on_bytes: OnBytes | None
) -> StoredFile:
    """Write the content to local_path, which appears only if the size and (where known) the sha256 are right."""
    _check_free_space(expected, local_path)
    partial = partial_name(local_path)
    with explain_full_disk(local_path):
        make_folder_durably(local_path.parent)
        try:
            found = _write(chunks, expected.path, partial, on_bytes)
            _compare(found, expected, uri)
            fsync_file(partial)
            rename_durably(partial, local_path)
        finally:
            partial.unlink(missing_ok=True)
    return found


def _write(chunks: Iterable[bytes | memoryview], path: str, target: Path, on_bytes: OnBytes | None) -> StoredFile:
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            if on_bytes:
                on_bytes(len(chunk))
    return StoredFile(path, size, digest.hexdigest())


def _compare(found: StoredFile, expected: StoredFile, uri: str) -> None:
    if found.size != expected.size or expected.sha256 not in {None, found.sha256}:
        raise DataError(
            f"{expected.path} of {uri} is damaged: expected {expected.size} bytes with sha256 {expected.sha256}, "
            f"got {found.size} bytes with {found.sha256}; publish it again, or pin another revision"
        )


def _check_free_space(expected: StoredFile, local_path: Path) -> None:
    if (free := free_bytes(local_path.parent)) < expected.size:
        raise ConfigurationError(
            f"{expected.path} needs {expected.size:,} bytes and {local_path.parent} has {free:,} free; "
            "use a larger volume",
            reason=Reason.DISK_TOO_SMALL,
        )
