"""Content by key, each with a record that makes it count.

    ROOT/KEY.json       id, size, sha256, mtime of the content; its own mtime: when it was last used
    ROOT/KEY.ID         the content

Content appears by a rename and counts once its KEY.json names it. An ID is never used again, so what is removed is what
was judged, and never what another process has made meanwhile.

Content is verified when it is used: it must have the size and the mtime of the record. If the mtime differs, or if it
was last read in full more than a week ago, all of it is read and compared with its sha256.
"""

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from deepsynth_api.errors import WorkloadError
from deepsynth_store.core.atomic import compute_sha256, fsync_file, rename_durably, write_file_atomically

_NAME: Final = re.compile(r"([0-9a-f]{64})\.\w+")
"""Of content and its record. Other names are of other programs, and are let alone."""
_RECORD: Final = ".json"
_EVICTED: Final = ".evicted"
_VERIFIED_SECONDS: Final = 7 * 24 * 3600.0
_DEAD_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class Content:
    """A verified file, of `size` bytes."""

    path: Path
    size: int


@dataclass(frozen=True)
class Entry:
    """size: bytes. recorded: mtime of the record in ns; 0 without a record. made: of the newest file."""

    size: int
    recorded: int
    made: int

    @property
    def used(self) -> int:
        """When it was last used, in ns."""
        return self.recorded or self.made


class Entries:
    """What is in a folder. note: called when a file is damaged."""

    def __init__(self, root: Path, note: Callable[[str], None]) -> None:
        self._root = root
        self._note = note

    def find(self, key: str) -> Content | None:
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
                return Content(path, found.st_size)
            if is_whole and compute_sha256(path) == known["sha256"]:
                with contextlib.suppress(OSError, WorkloadError):  # it is read again the next time
                    self._write_record(key, path, known["sha256"])
                return Content(path, found.st_size)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - others write there too, so anything may be in the record
            self._note(f"spec.cache: {record} or its file cannot be used ({error!r:.200}); it is fetched again")
            _unlink(record)
            return None
        self._note(f"spec.cache: {path} is damaged; it is fetched again")
        _unlink(path)
        return None

    def keep(self, key: str, file: Path) -> Content:
        """Move a file here, unless another process was first. Raises OSError and WorkloadError."""
        size, sha256 = file.stat().st_size, compute_sha256(file)
        if found := self.find(key):
            return found
        path = self._root / f"{key}.{uuid4().hex}"
        fsync_file(file)
        rename_durably(file, path)
        self._write_record(key, path, sha256)
        return Content(path, size)

    def list(self, now: float) -> dict[str, Entry]:
        """Size and last use of all keys, also of content that no record names. now: the time of the file system."""
        entries: dict[str, Entry] = {}
        for path in self._root.iterdir():
            with contextlib.suppress(OSError):
                found = path.stat()
                if path.name.endswith(_EVICTED) and now - found.st_ctime > _DEAD_SECONDS:
                    path.unlink()
                elif stat.S_ISREG(found.st_mode) and (named := _NAME.fullmatch(path.name)):
                    key = named[1]
                    entry = entries.get(key, Entry(0, 0, 0))
                    recorded = found.st_mtime_ns if path.suffix == _RECORD else entry.recorded
                    made = max(entry.made, found.st_mtime_ns)
                    entries[key] = Entry(entry.size + found.st_size, recorded, made)
        return entries

    def evict(self, key: str, used: int, is_needed: Callable[[str], bool]) -> bool:
        """Remove an entry, unless it was used since `used`, its mtime in ns when it was listed, or is needed.

        is_needed: asked while the record is hidden, so a process that needs the key from now on does not find it.
        """
        record = self._root / f"{key}{_RECORD}"
        hidden = self._root / f".{key}.{uuid4().hex}{_EVICTED}"
        contents = [path for path in self._root.glob(f"{key}.*") if path != record]
        is_touched = False
        with contextlib.suppress(FileNotFoundError):
            record.rename(hidden)
            with hidden.open() as file:  # on a network volume, only opening asks for the present state
                is_touched = os.fstat(file.fileno()).st_mtime_ns != used
        if is_touched or is_needed(key):
            with contextlib.suppress(FileNotFoundError):  # there was no record
                _unlink(hidden) if record.exists() else hidden.rename(record)
            return False
        for path in (*contents, hidden):
            _unlink(path)
        return True

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


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):  # another process was first
        path.unlink()
