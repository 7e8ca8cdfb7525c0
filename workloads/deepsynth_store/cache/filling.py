"""Content on its way, in folders that others see grow, so they wait for it or make other files first.

    FOLDER/KEY.BYTES.ID/    BYTES are reserved for what is made in it

A folder that does not change any more is that of a process that was killed, or is stuck: nobody waits for it, it counts
only with what is in it, and it is deleted when its room is needed.
"""

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

_NAME: Final = re.compile(r"(\w+)\.([0-9]{1,18})\.\w+")
"""Others are of other programs, such as lost+found."""
_SILENT_SECONDS: Final = 120.0
_DEAD_SECONDS: Final = 3600.0


class Filling:
    """What is on its way in a folder. read_clock: the time of its file system, in seconds."""

    def __init__(self, folder: Path, read_clock: Callable[[], float]) -> None:
        self._folder = folder
        self._read_clock = read_clock
        self._seen: dict[Path, tuple[object, float]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def claim(self, key: str, room: int) -> Path | None:
        """A new folder to make the file in; None while another process makes it."""
        if self._list_makers(key):
            return None
        folder = self._folder / f"{key}.{room}.{uuid4().hex}"
        folder.mkdir(parents=True)
        if min(self._list_makers(key), default=folder) == folder:  # none: this process was suspended meanwhile
            return folder
        shutil.rmtree(folder, ignore_errors=True)  # two have begun at the same time
        return None

    def count(self) -> tuple[int, list[tuple[Path, int]]]:
        """Bytes that are there or reserved, and the folders that need not be kept, with their bytes. Deletes those that
        did not change for an hour.
        """
        total, silent = 0, list[tuple[Path, int]]()
        for folder, _, room in self._list():
            silence, size = self._measure_silence(folder), sum(size for _, size in _walk(folder))
            if silence > _DEAD_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
            elif silence > _SILENT_SECONDS:
                silent.append((folder, size))
                total += size
            else:
                total += max(room, size)
        return total, silent

    def _list_makers(self, key: str) -> list[Path]:
        """The folders in which living processes make the file just now."""
        return [
            folder
            for folder, other, _ in self._list()
            if other == key and self._measure_silence(folder) < _SILENT_SECONDS
        ]

    def _list(self) -> Iterator[tuple[Path, str, int]]:
        """Folders with their keys, and the bytes that are reserved."""
        for folder in self._folder.iterdir():
            if named := _NAME.fullmatch(folder.name):
                yield folder, named[1], int(named[2])

    def _measure_silence(self, folder: Path) -> float:
        """Seconds since something in it has changed.

        Once a change was seen it is the own clock that counts, because the one of the files may be set back meanwhile.
        """
        state, now = tuple(_walk(folder)), time.monotonic()
        if folder not in self._seen:
            age = self._read_clock() - max((changed / 1e9 for changed, _ in state), default=0.0)
            self._seen[folder] = (state, now - max(age, 0.0))
        elif self._seen[folder][0] != state:
            self._seen[folder] = (state, now)
        return now - self._seen[folder][1]


def _walk(folder: Path) -> Iterator[tuple[int, int]]:
    """The time of the last change in ns, and bytes, of the folder and of what is in it, without what vanishes
    meanwhile.
    """
    with contextlib.suppress(OSError):
        yield folder.stat().st_mtime_ns, 0
        for path in sorted(folder.iterdir()):
            with contextlib.suppress(OSError):
                found = path.stat()
                yield found.st_mtime_ns, found.st_size
