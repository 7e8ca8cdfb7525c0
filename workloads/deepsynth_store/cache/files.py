"""A folder of files by key that many processes fill and read at the same time, also from several nodes.

    FOLDER/inputs-v1/KEY.json       id, size, sha256, mtime of the content; its own mtime: when it was last used
    FOLDER/inputs-v1/KEY.ID         the content
    FOLDER/inputs-v1/filling/       content on its way: see `filling`
    FOLDER/inputs-v1/uses/ID.json   the keys that a process needs: see `uses`

There are no locks. Content appears by a rename and counts once its KEY.json names it, so a killed process leaves
nothing that is read. Two that fill the same key do the same work twice, at worst; usually one finds the other's folder
and does something else first. An ID is never used again, so what is removed is what was judged, and never what another
process has made meanwhile.

An entry that a process needs is not evicted: that process says so (1) before it looks for the record (2), the evicting
one hides the record (3) before it looks for such processes (4). If (4) misses (1), then (2) is after (3), finds
nothing, and the file is fetched again.

Content is verified when it is used: it must have the size and the mtime of the record. If the mtime differs, or if it
was last read in full more than a week ago, all of it is read and compared with its sha256.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from deepsynth_api.errors import WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import INPUTS_FOLDER
from deepsynth_store.cache.filling import Filling
from deepsynth_store.cache.uses import Uses
from deepsynth_store.core.atomic import compute_sha256, free_bytes, fsync_file, rename_durably, write_file_atomically
from deepsynth_store.core.interface import StoredFile

_NAME: Final = re.compile(r"([0-9a-f]{64})\.\w+")
"""Of content and its record. Other names are of other programs, and are let alone."""
_RECORD: Final = ".json"
_CONTENT: Final = "content"
_FILLING: Final = "filling"
_USES: Final = "uses"
_EVICTED: Final = ".evicted"
_VERIFIED_SECONDS: Final = 7 * 24 * 3600.0
_FRESH_SECONDS: Final = 300.0
"""An entry that was used just now is not evicted: another node may see the list of uses a minute late."""
_DEAD_SECONDS: Final = 3600.0
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
        found = {key: self._find(key) for key in keys} if self._use(keys) else {}
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
            found = self._find(item.key)
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

    def _find(self, key: str) -> "_Content | None":
        """The verified content of the key. A damaged one is removed."""
        record = self._root / f"{key}{_RECORD}"
        with contextlib.suppress(OSError):  # it does not exist, or belongs to another user
            os.utime(record)
        try:
            known: Mapping[str, Any] = json.loads(record.read_bytes())
            name = known.get("id", known["sha256"])
            if not name.isalnum():
                raise ValueError(f"id {name!r}")  # noqa: TRY301 - as any other fault of the record
            path = self._root / f"{key}.{name}"
            found = path.stat()
            is_whole = stat.S_ISREG(found.st_mode) and found.st_size == known["size"]
            is_unchanged = is_whole and found.st_mtime_ns == known["mtimeNs"]
            if is_unchanged and 0 <= time.time() - known["verified"] < _VERIFIED_SECONDS:
                return _Content(path, found.st_size)
            if is_whole and compute_sha256(path) == known["sha256"]:
                with contextlib.suppress(OSError, WorkloadError):  # it is read again the next time
                    self._write_record(key, path, known["sha256"])
                return _Content(path, found.st_size)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - others write there too, so anything may be in the record
            self._note(f"spec.cache: {record} or its file cannot be used ({error!r:.200}); it is fetched again")
            _unlink(record)
            return None
        self._note(f"spec.cache: {path} is damaged; it is fetched again")
        _unlink(path)
        return None

    def _claim(self, item: Item) -> Path | None:
        """A new folder to make the file in, which others see; None while another process makes it, or if the disk
        cannot be written.
        """
        folder = None
        if self._is_writable:
            with self._guard():
                folder = self._filling.claim(item.key, item.room)
        return folder

    def _fill(self, item: Item, folder: Path) -> "_Content | None":
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

    def _keep(self, item: Item, folder: Path) -> "_Content | None":
        """None if it has become larger than its room, and there is no more."""
        content = folder / _CONTENT
        size = content.stat().st_size
        if size > item.room and not self._has_room(0):
            return None
        sha256 = compute_sha256(content)
        if found := self._find(item.key):
            return found  # another process was first
        path = self._root / f"{item.key}.{uuid4().hex}"
        fsync_file(content)
        rename_durably(content, path)
        self._write_record(item.key, path, sha256)
        return _Content(path, size)

    def _write_record(self, key: str, path: Path, sha256: str) -> None:
        found = path.stat()
        record = {
            "id": path.name.partition(".")[2],
            "sha256": sha256,
            "size": found.st_size,
            "mtimeNs": found.st_mtime_ns,
            "verified": time.time(),
        }
        write_file_atomically(self._root / f"{key}{_RECORD}", json.dumps(record).encode())

    def _has_room(self, room: int) -> bool:
        """Whether that many bytes can be written, which are reserved already. If not, nothing more is kept."""
        with self._guard():
            if why := self._make_room(room):
                self._stop(why)
        return self._is_writable

    def _make_room(self, room: int) -> str:
        """Evict what was not used for the longest time, if that helps. Returns why there is no room, if so."""
        entries, (reserved, silent), free = self._list_entries(), self._filling.count(), free_bytes(self._root)
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
                if excess > 0 and self._evict(key, entry.used):
                    excess -= entry.size
        if excess <= 0:
            return ""
        return (
            f"it is full: runs use {total - evictable:,} bytes now, and {reserved:,} bytes are for files on their way "
            f"(spec.cache.sizeLimit is {self._limit:,} bytes; the disk has {free:,} bytes free)"
        )

    def _evict(self, key: str, used: int) -> bool:
        """Remove an entry, unless it is used by now. used: its mtime in ns when it was listed."""
        record = self._root / f"{key}{_RECORD}"
        hidden = self._root / f".{key}.{uuid4().hex}{_EVICTED}"
        contents = [path for path in self._root.glob(f"{key}.*") if path != record]
        is_touched = False
        with contextlib.suppress(FileNotFoundError):
            record.rename(hidden)
            with hidden.open() as file:  # on a network volume, only opening asks for the present state
                is_touched = os.fstat(file.fileno()).st_mtime_ns != used
        if is_touched or key in self._uses.list_all():
            with contextlib.suppress(FileNotFoundError):  # there was no record
                _unlink(hidden) if record.exists() else hidden.rename(record)
            return False
        for path in (*contents, hidden):
            _unlink(path)
        return True

    def _list_entries(self) -> "dict[str, _Entry]":
        """Size and last use of all keys, also of content that no record names."""
        entries: dict[str, _Entry] = {}
        for path in self._root.iterdir():
            with contextlib.suppress(OSError):
                found = path.stat()
                if path.name.endswith(_EVICTED) and self._uses.read_clock() - found.st_ctime > _DEAD_SECONDS:
                    path.unlink()
                elif stat.S_ISREG(found.st_mode) and (named := _NAME.fullmatch(path.name)):
                    key = named[1]
                    entry = entries.get(key, _Entry(0, 0, 0))
                    recorded = found.st_mtime_ns if path.suffix == _RECORD else entry.recorded
                    made = max(entry.made, found.st_mtime_ns)
                    entries[key] = _Entry(entry.size + found.st_size, recorded, made)
        return entries


@dataclass(frozen=True)
class _Content:
    path: Path
    size: int


@dataclass(frozen=True)
class _Entry:
    """size: bytes. recorded: mtime of the record in ns; 0 without a record. made: of the newest file."""

    size: int
    recorded: int
    made: int

    @property
    def used(self) -> int:
        """When it was last used, in ns."""
        return self.recorded or self.made


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):  # another process was first
        path.unlink()
