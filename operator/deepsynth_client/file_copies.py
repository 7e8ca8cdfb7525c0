"""Copies of files that are elsewhere, in a folder of this machine that is removed with this process."""

import atexit
import errno
import logging
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

_logger = logging.getLogger(__name__)
_UNUSABLE: Final = {errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ}
"""Of a name that a store has and a file system does not take: too long, or both a file and a folder."""
_MAX_NAME_CHARACTERS: Final = 60


def copy_files(uri: str, files: Iterable[tuple[str, bytes]]) -> Path:
    """A folder with these files of `uri`, by relative path. Files that cannot have their name here are skipped.

    A warning is logged that counts them. Raises OSError where the files cannot be written, for example on a full disk.
    """
    folder = Path(tempfile.mkdtemp(prefix="deepsynth-files-")).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    skipped = [name for name, content in files if not _write(folder, name, content)]
    if skipped:
        _logger.warning(
            "%s: %d files are not shown, because this machine has no such file names: %r%s",
            *(uri, len(skipped), skipped[0][:_MAX_NAME_CHARACTERS]),
            "..." if len(skipped) > 1 or len(skipped[0]) > _MAX_NAME_CHARACTERS else "",
        )
    return folder


def _write(folder: Path, name: str, content: bytes) -> bool:
    """Whether the name can be used, and is one in the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return False
    try:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    except ValueError:  # a NUL, or a character that this machine's encoding of names lacks
        return False
    except OSError as error:
        if error.errno not in _UNUSABLE:
            raise
        return False
    return True
