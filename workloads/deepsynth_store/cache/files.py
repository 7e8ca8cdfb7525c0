"""A folder of files by key that many processes fill and read at the same time, also from several nodes.

    FOLDER/inputs-v1/KEY.json               size, sha256, mtime of the content; its own mtime: when it was last used
    FOLDER/inputs-v1/KEY.SHA256             the content
    FOLDER/inputs-v1/filling/KEY.BYTES.ID/  content on its way; BYTES are reserved for it
    FOLDER/inputs-v1/uses/ID.json           the keys that a process needs: see `uses`

There are no locks. Content appears by a rename and counts once its KEY.json names it, so a killed process leaves
nothing that is read. Two that fill the same key do the same work twice, at worst; usually one finds the other's folder
and does something else first.

An entry that a process needs is not evicted: that process says so (1) before it looks for the entry (2), the evicting
one hides the entry (3) before it looks for such processes (4). If (4) misses (1), then (2) is after (3), finds nothing,
and the file is fetched again.

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
from deepsynth_store.cache.uses import Uses
from deepsynth_store.core.atomic import compute_sha256, free_bytes, fsync_file, rename_durably, write_file_atomically
from deepsynth_store.core.interface import StoredFile

_RECORD: Final = ".json"
_FILLING: Final = "filling"
_FILLER: Final = re.compile(r"\w+\.([0-9]{1,18})\.\w+")
_USES: Final = "uses"
_EVICTED: Final = ".evicted"
_VERIFIED_SECONDS: Final = 7 * 24 * 3600.0
_FRESH_SECONDS: Final = 300.0
"""An entry that was used just now is not evicted: another node may see the list of uses a minute late."""
_SILENT_SECONDS: Final = 120.0
"""A file that has not grown for so long is not waited for: its process was probably killed."""
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
        self._root = folder / INPUTS_FOLDER
        self._limit = limit
        self._note = note
        self._is_writable = True
        (self._root / _FILLING).mkdir(parents=True, exist_ok=True)
        self._uses = Uses(self._root / _USES)

    def close(self) -> None:
        """From now on, the files may be evicted."""
        self._uses.close()

    def hold(self, paths: Iterable[Path]) -> None:
        """Files, or links to them, that an earlier process of this pod found are still needed. Others are ignored."""
        root, found = self._root.resolve(), [path.resolve() for path in paths]
        self._use(path.name.partition(".")[0] for path in found if path.parent == root)

    def find(self, keys: Collection[str]) -> dict[str, Path]:
        """The files that are there, by their keys."""
        found = {key: self._find(key) for key in keys} if self._use(keys) else {}
        there = {key: path for key, path in found.items() if path}
        self.reused += sum(path.stat().st_size for path in there.values())
        return there

    def fetch(self, items: Sequence[Item], on_wait: Callable[[], None]) -> Iterator[tuple[Item, Path | None]]:
        """Each item with its file, in the order in which they are there; None where it cannot be kept.

        What another process is just making comes last. on_wait: called while there is nothing to do but wait for it.
        Errors of `make`, except those of a full disk, are raised.
        """
        if not self._use(item.key for item in items):
            yield from ((item, None) for item in items)
            return
        waiting, postponed = deque(items), 0
        while waiting:
            item = waiting.popleft()
            if path := self._find(item.key):
                self.reused += path.stat().st_size
            elif (folder := self._claim(item)) is None and self._is_writable:
                waiting.append(item)
                postponed += 1
                if postponed >= len(waiting):
                    on_wait()
                    time.sleep(_WAIT_SECONDS)
                    postponed = 0
                continue
            elif folder and (path := self._fill(item, folder)):
                self.fetched += path.stat().st_size
            postponed = 0
            yield item, path

    def _use(self, keys: Iterable[str]) -> bool:
        """Whether others can see that the keys are needed now."""
        try:
            self._uses.add(keys)
        except (OSError, WorkloadError) as error:
            self._stop(f"it cannot be written ({error})")
            return False
        return True

    def _find(self, key: str) -> Path | None:
        """The verified content of the key. A damaged one is removed."""
        record = self._root / f"{key}{_RECORD}"
        with contextlib.suppress(OSError):  # it does not exist, or belongs to another user
            os.utime(record)
        try:
            known: Mapping[str, Any] = json.loads(record.read_bytes())
            path = self._root / f"{key}.{known['sha256']}"
            found = path.stat()
            is_whole = stat.S_ISREG(found.st_mode) and found.st_size == known["size"]
            is_unchanged = is_whole and found.st_mtime_ns == known["mtimeNs"]
            if is_unchanged and 0 <= time.time() - known["verified"] < _VERIFIED_SECONDS:
                return path
            if is_whole and compute_sha256(path) == known["sha256"]:
                with contextlib.suppress(OSError, WorkloadError):  # it is read again the next time
                    self._write_record(key, path, known["sha256"])
                return path
        except FileNotFoundError:
            return None
        except (OSError, WorkloadError, ValueError, KeyError, TypeError) as error:
            self._note(f"spec.cache: {record} or its file cannot be used ({error}); it is fetched again")
            self._remove(key)
            return None
        self._note(f"spec.cache: {path} is damaged; it is fetched again")
        self._remove(key)
        return None

    def _claim(self, item: Item) -> Path | None:
        """A new folder to make the file in, which others see; None while another process makes it, or if the disk
        cannot be written.
        """
        if not self._is_writable:
            return None
        folder = self._root / _FILLING / f"{item.key}.{item.room}.{uuid4().hex}"
        try:
            if self._list_fillers(item.key):
                return None
            folder.mkdir(parents=True)
            if (
                min(self._list_fillers(item.key), default=folder) == folder
            ):  # none: this process was suspended meanwhile
                return folder
            shutil.rmtree(folder, ignore_errors=True)  # two have begun at the same time
        except OSError as error:
            self._stop(f"it cannot be written ({error.strerror or error})")
        return None

    def _fill(self, item: Item, folder: Path) -> Path | None:
        """None if there is no room for it, or the disk cannot be written."""
        try:
            if not self._make_room(item.room):
                self._stop(f"it is full of what runs use now (spec.cache.sizeLimit is {self._limit:,} bytes)")
                return None
            path = folder / "content"
            item.make(path)
            return self._keep(item.key, path)
        except OSError as error:
            self._stop(f"it cannot be written ({error.strerror or error})")
        except WorkloadError as error:
            if error.reason not in _FULL:
                raise
            self._stop(error.message)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return None

    def _stop(self, why: str) -> None:
        self._is_writable = False
        self._note(f"spec.cache: {self._root} takes no more files: {why}; the others are kept on the node only")

    def _keep(self, key: str, content: Path) -> Path:
        sha256 = compute_sha256(content)
        path = self._root / f"{key}.{sha256}"
        if not path.is_file() or compute_sha256(path) != sha256:  # else another process was first
            fsync_file(content)
            rename_durably(content, path)
        self._write_record(key, path, sha256)
        return path

    def _write_record(self, key: str, path: Path, sha256: str) -> None:
        found = path.stat()
        record = {"sha256": sha256, "size": found.st_size, "mtimeNs": found.st_mtime_ns, "verified": time.time()}
        write_file_atomically(self._root / f"{key}{_RECORD}", json.dumps(record).encode())

    def _list_fillers(self, key: str) -> list[Path]:
        """The folders in which living processes make the file just now."""
        folders = (self._root / _FILLING).glob(f"{key}.*")
        return [folder for folder in folders if self._measure_silence(folder) < _SILENT_SECONDS]

    def _measure_silence(self, folder: Path) -> float:
        """Seconds since something in a folder of `filling` has changed."""
        return self._uses.read_clock() - max((found.st_mtime for found in _walk(folder)), default=0.0)

    def _make_room(self, room: int) -> bool:
        """Evict what was not used for the longest time, if that helps. `room` is already reserved."""
        entries = self._list_entries()
        total = sum(entry.size for entry in entries.values()) + self._count_reserved()
        excess = max(total - self._limit, room - free_bytes(self._root))
        if excess <= 0:
            return True
        used, now = self._uses.list_all(), self._uses.read_clock()
        old = {
            key: entry for key, entry in entries.items() if key not in used and now - entry.used / 1e9 > _FRESH_SECONDS
        }
        if sum(entry.size for entry in old.values()) < excess:
            return False
        for key, entry in sorted(old.items(), key=lambda pair: pair[1].used):
            if excess > 0 and self._evict(key, entry.used):
                excess -= entry.size
        return excess <= 0

    def _evict(self, key: str, used: int) -> bool:
        """Remove an entry, unless it is used by now. used: its mtime in ns when it was listed."""
        record = self._root / f"{key}{_RECORD}"
        hidden = self._root / f".{key}.{uuid4().hex}{_EVICTED}"
        with contextlib.suppress(FileNotFoundError):
            record.rename(hidden)
            with hidden.open() as file:  # on a network volume, only opening asks for the present state
                is_used = os.fstat(file.fileno()).st_mtime_ns != used or key in self._uses.list_all()
            if is_used:
                hidden.rename(record)
                return False
        self._remove(key)
        hidden.unlink(missing_ok=True)
        return True

    def _remove(self, key: str) -> None:
        for path in [self._root / f"{key}{_RECORD}", *self._root.glob(f"{key}.*")]:
            with contextlib.suppress(OSError):  # another process was first
                path.unlink()

    def _list_entries(self) -> "dict[str, _Entry]":
        """Size and last use of all keys, also of content that no record names."""
        entries: dict[str, _Entry] = {}
        for path in self._root.iterdir():
            with contextlib.suppress(OSError):
                found = path.stat()
                if path.name.endswith(_EVICTED) and self._uses.read_clock() - found.st_mtime > _DEAD_SECONDS:
                    path.unlink()
                elif stat.S_ISREG(found.st_mode) and not path.name.startswith("."):
                    key = path.name.partition(".")[0]
                    entry = entries.get(key, _Entry(0, 0))
                    used = found.st_mtime_ns if path.suffix == _RECORD else 0
                    entries[key] = _Entry(entry.size + found.st_size, max(entry.used, used))
        return entries

    def _count_reserved(self) -> int:
        """Bytes of all files on their way. Deletes what killed processes have left."""
        total = 0
        for folder in (self._root / _FILLING).iterdir():
            if not (named := _FILLER.fullmatch(folder.name)):
                continue  # of another program, such as lost+found
            if self._measure_silence(folder) > _DEAD_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                total += int(named[1])
        return total


@dataclass(frozen=True)
class _Entry:
    """size: bytes. used: mtime of the record in ns; 0 without a record."""

    size: int
    used: int


def _walk(folder: Path) -> Iterator[os.stat_result]:
    """Of the folder and what is in it, without what vanishes meanwhile."""
    with contextlib.suppress(OSError):
        yield folder.stat()
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                yield path.stat()
