"""Read files of a folder in which others write at the same time, such as the pods of a run.

A pod may replace a file or a folder by a link to what only this process can read, also between a check and the opening.
So no path is checked: each part is opened relative to the one before it, and none may be a link.
"""

import errno
import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""O_PATH, where there is one: folders that may be entered and not listed, such as /home, are fine."""
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
"""O_NONBLOCK: to open a pipe must not wait for its other end."""


def open_inside(folder: Path, name: str) -> BinaryIO:
    """Open the file `name`, such as `samples/step-9.json`, of a folder whose path has no link (`Path.resolve`).

    Raises OSError if it is missing or no regular file, or if any part of the path to it is a link by now.
    """
    path = PurePosixPath(name)
    if not folder.is_absolute() or path.is_absolute() or ".." in (*folder.parts, *path.parts) or not path.name:
        raise OSError(errno.EINVAL, "must be a name inside an absolute folder", f"{folder}/{name}")
    opened = _open(folder / path)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "is not a regular file", f"{folder}/{name}")
    return os.fdopen(opened, "rb")


def _open(path: Path) -> int:
    """A descriptor of a file, by way of its folders."""
    parent = os.open(path.anchor, _FOLDER)
    try:
        for part in path.parts[1:-1]:
            child = os.open(part, _FOLDER, dir_fd=parent)
            os.close(parent)
            parent = child
        return os.open(path.name, _FILE, dir_fd=parent)
    finally:
        os.close(parent)


def read_inside(folder: Path, name: str, limit: int) -> bytes:
    """The content of a file that `open_inside` opens. Raises OSError too if it has more than `limit` bytes."""
    with open_inside(folder, name) as file:
        is_small = os.fstat(file.fileno()).st_size <= limit
        content = file.read(limit + 1) if is_small else b""
    if not is_small or len(content) > limit:  # others may still write to it
        raise OSError(errno.EFBIG, f"has more than {limit} bytes", f"{folder}/{name}")
    return content
