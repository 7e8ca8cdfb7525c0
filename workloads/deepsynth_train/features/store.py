"""A folder of tensors by key, shared by processes and runs.

    FOLDER/v1/MODEL/ab/abcdef...        one file per key: sha256 of all that follows, with the key; safetensors
    FOLDER/v1/MODEL/used                touched by runs that use the folder of this model

A file appears by one rename, and is verified whenever it is read: a damaged one counts as missing and is replaced. So
a crash, a full disk or another writer costs at most the work of computing an entry again. When the folder is full,
entries of models that no run has used for a day are deleted; then nothing more is stored. Entries of one model are
never evicted in favour of its own: training reads all pages in turn, so the oldest one is as useful as the newest.
"""

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from uuid import uuid4

import torch

from deepsynth_api.report import WARNING
from deepsynth_api.workload import FEATURES_FOLDER

_USED: Final = "used"
_PARTIAL: Final = ".partial"
_DIGEST_BYTES: Final = 32
_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
"""Seconds after which the entries of a model may be deleted, and half-written files."""
_MAX_WAITING: Final = 64
"""Entries that wait to be written; more are dropped, so that a slow disk does not slow down the training."""
_SHARE: Final = 16
"""A process writes a sixteenth of the room that it has seen before it measures again, because others write too."""

Tensors = Mapping[str, torch.Tensor]


class FeatureStore:
    """The entries of one model. `read` and `write` are called by any thread.

    counts: hits, misses (of which damaged), stored, dropped (the store is full, or the disk too slow), and failed (an
    error of the disk).
    """

    def __init__(self, folder: Path, model: str, limit: int, note: Callable[[str], None]) -> None:
        """folder: of all models. model: names what the entries depend on apart from their keys. limit: bytes in
        `folder`. note: called at most once, when entries cannot be written.
        """
        self.counts: Counter[str] = Counter()
        self._root = folder / FEATURES_FOLDER
        self._folder = self._root / model
        self._limit = limit
        self._note = note
        self._lease = 0
        self._touched = 0.0
        self._is_writable = True
        self._slots = threading.Semaphore(_MAX_WAITING)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="features")
        self._attempt(self._touch)

    def read(self, key: str) -> dict[str, torch.Tensor] | None:
        """The tensors, on the CPU; None if there are none, or if the file is damaged."""
        if time.monotonic() - self._touched > _HOUR:
            self._attempt(self._touch)
        found, is_damaged = self._open(key)
        self.counts["misses" if found is None else "hits"] += 1
        self.counts["damaged"] += is_damaged
        return found

    def read_again(self, key: str) -> dict[str, torch.Tensor] | None:
        """As `read`, for a key that was missing when a batch was made ahead of time. It counts as one reading."""
        found, _ = self._open(key)
        if found is not None:
            self.counts.update({"misses": -1, "hits": 1})
        return found

    def _open(self, key: str) -> tuple[dict[str, torch.Tensor] | None, bool]:
        """The tensors, and whether the file is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        path = self._locate(key)
        try:
            content = path.read_bytes() if path.is_file() else None  # a pipe would never end
        except OSError:
            content = None
        if content is None:
            return None, False
        digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest == _sign(key, body):
            with contextlib.suppress(SafetensorError, ValueError, KeyError):
                tensors: dict[str, torch.Tensor] = load(body)
                return tensors, False
        return None, True

    def write(self, key: str, tensors: Tensors) -> None:
        """Store the tensors, from any device, in a thread. They must not change afterwards."""
        if not self._is_writable:
            self.counts["failed"] += 1
            return
        if not self._slots.acquire(blocking=False):
            self.counts["dropped"] += 1
            return
        self._writer.submit(self._write_next, key, tensors)

    def finish(self) -> None:
        """Wait until all entries are written."""
        self._writer.submit(int).result()

    def _write_next(self, key: str, tensors: Tensors) -> None:
        self.counts["failed"] += not self._attempt(lambda: self._write(key, tensors))
        self._slots.release()

    def _write(self, key: str, tensors: Tensors) -> None:
        from safetensors.torch import save

        body = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
        size = _DIGEST_BYTES + len(body)
        if size > self._lease:
            room = self._find_room()
            self._lease = max(room // _SHARE, size) if size <= room else 0
        if size > self._lease:
            self.counts["dropped"] += 1
            return
        target = self._locate(key)
        partial = target.with_name(f".{key}-{uuid4().hex}{_PARTIAL}")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(_sign(key, body) + body)
            partial.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        self._lease -= size
        self.counts["stored"] += 1

    def _attempt(self, act: Callable[[], None]) -> bool:
        """Whether it worked. A disk that cannot be written to ends the writing, and nothing else."""
        try:
            act()
        except (OSError, RuntimeError, ValueError) as error:
            # Another process may have deleted the folder, or made one where an entry belongs: the next entry may work.
            is_of_entry = isinstance(error, FileNotFoundError | IsADirectoryError) and self._root.is_dir()
            if self._is_writable and not is_of_entry:
                self._is_writable = False
                reason = getattr(error, "strerror", None) or error
                self._note(
                    f"{WARNING}spec.cache.features: cannot write to {self._root} ({reason}), so features are not kept"
                )
            return False
        return True

    def _locate(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _touch(self) -> None:
        self._touched = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / _USED).touch()

    def _find_room(self) -> int:
        """Bytes left below the limit, after unused models are deleted if it is nearly reached."""
        self._touch()
        room = self._limit - _measure(self._root)
        if room < self._limit // _SHARE:
            for folder in self._find_unused():
                _delete(folder)
            room = self._limit - _measure(self._root)
        return room

    def _find_unused(self) -> list[Path]:
        """Folders of other models, the least recently used one first."""
        ages = {}
        for folder in self._root.iterdir():
            used = folder / _USED
            with contextlib.suppress(OSError):
                ages[folder] = time.time() - (used if used.exists() else folder).stat().st_mtime
        old = [folder for folder, age in ages.items() if age > _DAY and folder != self._folder]
        return sorted(old, key=lambda folder: -ages[folder])


def _sign(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + body).digest()


def _measure(folder: Path) -> int:
    """Bytes of all files. Deletes what writers left behind that died a day ago."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # another process deleted it
                found = (file := Path(path) / name).stat()
                if name.endswith(_PARTIAL) and time.time() - found.st_mtime > _DAY:
                    file.unlink()
                else:
                    total += found.st_size
    return total


def _delete(folder: Path) -> None:
    """Out of the way by one rename: a reader finds an entry complete, or not at all."""
    hidden = folder.with_name(f".{folder.name}-{uuid4().hex}")
    with contextlib.suppress(OSError):  # another process was first
        folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
