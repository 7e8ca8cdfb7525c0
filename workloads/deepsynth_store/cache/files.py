"""A folder of files by key that many processes fill and read at the same time, also from several nodes.

    FOLDER/inputs-v1/KEY.json       a record, and
    FOLDER/inputs-v1/KEY.ID         its content: see `entries`
    FOLDER/inputs-v1/filling/       content on its way: see `filling`
    FOLDER/inputs-v1/uses/ID.json   the keys that a process needs: see `uses`

There are no locks. Content counts once a record names it, so a killed process leaves nothing that is read. Two that
fill the same key do the same work twice, at worst; usually one finds the other's folder and does something else first.

An entry that a process needs is not evicted: that process says so (1) before it looks for the record (2), the evicting
one hides the record (3) before it looks for such processes (4). If (4) misses (1), then (2) is after (3), finds
nothing, and the file is fetched again.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deepsynth_api.errors import WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import INPUTS_FOLDER
from deepsynth_store.cache.entries import Content, Entries
from deepsynth_store.cache.filling import Filling
from deepsynth_store.cache.uses import Uses
from deepsynth_store.core.atomic import free_bytes
from deepsynth_store.core.interface import StoredFile

_CONTENT: Final = "content"
_FILLING: Final = "filling"
_USES: Final = "uses"
_FRESH_SECONDS: Final = 300.0
"""An entry that was used just now is not evicted: another node may see the list of uses a minute late."""
_WAIT_SECONDS: Final = 1.0
_FULL: Final = frozenset({Reason.DISK_FULL, Reason.DISK_TOO_SMALL})


@dataclass(frozen=True)
class Item:
    """A file to have. key: see `build_key`. room: bytes on the disk while it is made. make: writes it to the path that
    it gets, and may use the (otherwise empty) folder of the path.
    """

    key: str
    room: int
    make: Callable[[Path], object]


def build_key(what: str, file: StoredFile, uri: str, revision: str) -> str:
    """Of what is made of a stored file. The same file in two places has one key where the store knows its hash.

    what: such as "file" for the file itself. Content with the same key is the same for all readers.
    """
    source = [file.sha256] if file.sha256 else [uri, revision, file.path, file.size]
    return hashlib.sha256(json.dumps([what, *source]).encode()).hexdigest()


class FileCache:
    """fetched, reused: bytes that `fetch` had to make, and that it found. Used by one thread, until `close`."""

    def __init__(self, folder: Path, limit: int, note: Callable[[str], None]) -> None:
        """limit: bytes of the folder. note: called when a file is damaged, or cannot be kept. Raises OSError, and
        TemporaryError, where the folder cannot be written.
        """
        self.reused = self.fetched = 0
        self._limit = limit
        self._note = note
        self._is_writable = True
        (folder / INPUTS_FOLDER).mkdir(parents=True, exist_ok=True)
        self._root = (folder / INPUTS_FOLDER).resolve()  # `hold` compares it with what links lead to
        self._entries = Entries(self._root, note)
        self._uses = Uses(self._root / _USES)
        self._filling = Filling(self._root / _FILLING, self._uses.read_clock)

    def close(self) -> None:
        """From now on, the files may be evicted."""
        self._uses.close()

    def hold(self, paths: Iterable[Path]) -> None:
        """Files, or links to them, that an earlier process of this pod found are still needed. Others are ignored."""
        with self._guard():
            found = [path.resolve() for path in paths]
            self._use(path.name.partition(".")[0] for path in found if path.parent == self._root)

    def find(self, keys: Collection[str]) -> dict[str, Path]:
        """The files that are there, by their keys."""
        found = {key: self._entries.find(key) for key in keys} if self._use(keys) else {}
        there = {key: content for key, content in found.items() if content}
        self.reused += sum(content.size for content in there.values())
        return {key: content.path for key, content in there.items()}

    def fetch(self, items: Sequence[Item], on_wait: Callable[[], None]) -> Iterator[tuple[Item, Path | None]]:
        """Each item with its file, in the order in which they are there; None where it cannot be kept.

        What another process is just making comes last. on_wait: called while there is nothing to do but wait for it.
        Errors of `make`, except those of the disk, are raised; faults of the folder are noted.
        """
        if not self._use(item.key for item in items):
            yield from ((item, None) for item in items)
            return
        waiting, postponed = deque(items), 0
        while waiting:
            item = waiting.popleft()
            found = self._entries.find(item.key)
            if found:
                self.reused += found.size
            elif folder := self._claim(item):
                found = self._fill(item, folder)
                self.fetched += found.size if found else 0
            elif self._is_writable:
                waiting.append(item)
                postponed += 1
                if postponed >= len(waiting):
                    on_wait()
                    time.sleep(_WAIT_SECONDS)
                    postponed = 0
                continue
            postponed = 0
            yield item, found.path if found else None

    def _use(self, keys: Iterable[str]) -> bool:
        """Whether others can see that the keys are needed now."""
        try:
            self._uses.add(keys)
        except (OSError, WorkloadError) as error:
            self._stop(f"it cannot be written ({error})")
            return False
        return True

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """A fault of the folder costs no more than the folder."""
        try:
            yield
        except WorkloadError as error:
            self._stop(error.message)
        except Exception as error:  # noqa: BLE001 - others write there too, so anything may be wrong with it
            self._stop(f"it cannot be used ({getattr(error, 'strerror', None) or error!r})")

    def _claim(self, item: Item) -> Path | None:
        """A new folder to make the file in, which others see; None while another process makes it, or if the disk
        cannot be written.
        """
        folder = None
        if self._is_writable:
            with self._guard():
                folder = self._filling.claim(item.key, item.room)
        return folder

    def _fill(self, item: Item, folder: Path) -> Content | None:
        """None if there is no room for it, or the disk cannot be written."""
        kept = None
        try:
            if self._has_room(item.room):
                self._make(item, folder)
            if self._is_writable:
                with self._guard():
                    kept = self._keep(item, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return kept

    def _make(self, item: Item, folder: Path) -> None:
        try:
            item.make(folder / _CONTENT)
            os.utime(folder)  # the hash takes a while, and others must not take this process for a killed one
        except OSError as error:
            why = f"it cannot be written ({error.strerror or error})"
            self._stop(why if folder.exists() else "another process deleted a file on its way that had stopped growing")
        except WorkloadError as error:
            if error.reason not in _FULL:
                raise
            self._stop(error.message)

    def _stop(self, why: str) -> None:
        self._is_writable = False
        self._note(f"spec.cache: {self._root} takes no more files: {why}; the others are kept on the node only")

    def _keep(self, item: Item, folder: Path) -> Content | None:
        """None if it has become larger than its room, and there is no more."""
        content = folder / _CONTENT
        if content.stat().st_size > item.room and not self._has_room(0):
            return None
        return self._entries.keep(item.key, content)

    def _has_room(self, room: int) -> bool:
        """Whether that many bytes can be written, which are reserved already. If not, nothing more is kept."""
        with self._guard():
            if why := self._make_room(room):
                self._stop(why)
        return self._is_writable

    def _make_room(self, room: int) -> str:
        """Evict what was not used for the longest time, if that helps. Returns why there is no room, if so."""
        entries = self._entries.list(self._uses.read_clock())
        (reserved, silent), free = self._filling.count(), free_bytes(self._root)
        total = sum(entry.size for entry in entries.values())
        excess = max(total + reserved - self._limit, room - free)
        for path, size in silent:
            if excess > 0:
                shutil.rmtree(path, ignore_errors=True)
                excess -= size
        if excess <= 0:
            return ""
        used, now = self._uses.list_all(), self._uses.read_clock()
        old = {  # a time in the future is of a clock that was set back
            key: entry
            for key, entry in entries.items()
            if key not in used and abs(now - entry.used / 1e9) > _FRESH_SECONDS
        }
        evictable = sum(entry.size for entry in old.values())
        if evictable >= excess:
            for key, entry in sorted(old.items(), key=lambda pair: pair[1].used):
                if excess > 0 and self._entries.evict(key, entry.used, self._is_needed):
                    excess -= entry.size
        if excess <= 0:
            return ""
        return (
            f"it is full: runs use {total - evictable:,} bytes now, and {reserved:,} bytes are for files on their way "
            f"(spec.cache.sizeLimit is {self._limit:,} bytes; the disk has {free:,} bytes free)"
        )

    def _is_needed(self, key: str) -> bool:
        return key in self._uses.list_all()
