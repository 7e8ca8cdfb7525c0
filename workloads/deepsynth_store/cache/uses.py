"""Which keys living processes need, as files that they touch: a lock would need a server that knows who has died.

    FOLDER/ID.json      ["KEY", ...]; counts while it was touched within the last hour

All times are those of the file system, so clocks of nodes need not agree.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from uuid import uuid4

from deepsynth_api.errors import WorkloadError
from deepsynth_store.core.atomic import write_file_atomically

_TOUCH_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 5.0
"""How soon after a sleep of the machine, in which timeouts do not pass, the file is touched again."""
_VALID_SECONDS: Final = 3600.0
"""Many times longer than the pause between two touches: a process may be slow, or its volume away for a while."""


class Uses:
    """The keys that this process needs, from `add` to `close`. A thread touches the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{uuid4().hex}.json"
        self._keys: set[str] = set()
        self._known_dead: set[Path] = set()
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)
        self._write()
        threading.Thread(target=self._keep_touching, name="uses", daemon=True).start()

    def add(self, keys: Iterable[str]) -> None:
        with self._lock:
            self._keys.update(keys)
            self._write()

    def close(self) -> None:
        self._is_closed.set()
        with self._lock, contextlib.suppress(OSError):
            self._path.unlink()

    def read_clock(self) -> float:
        """What time it is for the file system, in seconds."""
        with self._lock:
            self._touch()
            return self._path.stat().st_mtime

    def list_all(self) -> set[str]:
        """The keys that this and other processes need. Deletes what dead processes have left."""
        if self._find_dead() - self._known_dead:
            time.sleep(2 * _LOOK_SECONDS)  # the machine may have slept, and its processes are about to touch theirs
        self._known_dead = self._find_dead()
        for path in self._known_dead:
            with contextlib.suppress(OSError):  # it belongs to another user
                path.unlink()
        return {key for path in self._folder.glob("*.json") for key in self._read(path)}

    def _find_dead(self) -> set[Path]:
        """The files that were not touched for so long that their processes must have died."""
        now, dead = self.read_clock(), set[Path]()
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(OSError):
                with path.open() as file:  # on a network volume, only opening asks for the present state
                    touched = os.fstat(file.fileno()).st_mtime
                if now - touched >= _VALID_SECONDS:
                    dead.add(path)
                elif touched - now > _TOUCH_SECONDS:
                    os.utime(path)  # the clock was set back: if its process lives, it touches it within the hour
        return dead

    def _read(self, path: Path) -> set[str]:
        """The keys that another process needs."""
        keys = None
        if path not in self._known_dead:
            with contextlib.suppress(OSError, ValueError, RecursionError):  # it was closed just now, or is damaged
                keys = json.loads(path.read_bytes())
        return {key for key in keys if isinstance(key, str)} if isinstance(keys, list) else set()

    def _touch(self) -> None:
        """Needs no room on the disk, unless another process took this one for dead."""
        try:
            os.utime(self._path)
        except FileNotFoundError:
            self._write()

    def _write(self) -> None:
        write_file_atomically(self._path, json.dumps(sorted(self._keys)).encode())

    def _keep_touching(self) -> None:
        touched = time.time()
        while not self._is_closed.wait(min(_LOOK_SECONDS, _TOUCH_SECONDS)):
            if abs(time.time() - touched) < _TOUCH_SECONDS:
                continue
            touched = time.time()
            with self._lock, contextlib.suppress(OSError, WorkloadError):
                if not self._is_closed.is_set():
                    self._touch()
