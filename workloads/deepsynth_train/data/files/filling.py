"""Fetching whole files in the background, while training reads from their stores what it needs first."""

import contextlib
import errno
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from deepsynth_api.errors import WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_api.report import WARNING
from deepsynth_store import DatasetFolder, OnWait, open_dataset
from deepsynth_store.cache.files import FileCache
from deepsynth_store.core.atomic import free_bytes
from deepsynth_train.data.files.materialise import SourceFile, estimate_room, share
from deepsynth_train.data.files.streamed import Stream, check_arrival

logger = logging.getLogger(__name__)

_FULL: Final = frozenset({Reason.DISK_FULL, Reason.DISK_TOO_SMALL})


class Filling:
    """A thread of the first process of each node. Where there is no room for a file, it stays in its store."""

    def __init__(
        self,
        streams: Sequence[Stream],
        cache: Path,
        note: Callable[[str], None],
        *,
        cache_bytes: int | None = None,
        shared: FileCache | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        """cache, cache_bytes, shared, on_wait: as for `materialise`. note: called once if there is no room."""
        self._streams = {Path(stream.arrow): stream for stream in streams}
        self._cache = cache
        self._note = note
        self._cache_bytes = cache_bytes
        self._shared = shared
        self._on_wait = on_wait
        self._is_stopped = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="filling", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the file that is on its way."""
        self._is_stopped.set()

    def join(self) -> None:
        self._thread.join()

    def check(self) -> None:
        """Raise what was wrong with a file: the errors of `materialise`."""
        if self._fault:
            raise self._fault

    def _run(self) -> None:
        try:
            self._fill()
        except BaseException as error:  # the training thread raises it
            logger.exception("a dataset cannot be fetched")
            self._fault = error

    def _fill(self) -> None:
        missing = [file for file in self._list_files() if not file.target.exists()]
        if self._shared:
            for file, path in share(missing, self._shared, lambda: None):
                with contextlib.suppress(FileNotFoundError):
                    file.target.unlink()  # a link of before, to a file that was evicted
                file.target.symlink_to(path)
                check_arrival(self._streams[file.target])
                if self._is_stopped.is_set():
                    return
        for number, file in enumerate(left := [file for file in missing if not file.target.exists()]):
            if self._is_stopped.is_set():
                return
            if not self._fetch(file):
                self._note(
                    f"{WARNING}spec.cache.stream: {len(left) - number:,} of {len(self._streams):,} files do not fit "
                    "on this node and are read from their store all the time; raise spec.cache.sizeLimit to read them "
                    "once"
                )
                return
            check_arrival(self._streams[file.target])

    def _fetch(self, file: SourceFile) -> bool:
        """False if there is no room."""
        needed, room = estimate_room(file), free_bytes(self._cache)
        if self._cache_bytes is not None:
            room = min(room, self._cache_bytes - _measure(self._cache))
        if needed > room:
            return False
        try:
            file.fetch(file.target)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
        except WorkloadError as error:
            if error.reason not in _FULL:
                raise
        if file.target.exists():
            return True
        for suffix in (".unsorted", ".partial"):
            file.target.with_suffix(suffix).unlink(missing_ok=True)
        return False

    def _list_files(self) -> list[SourceFile]:
        folders: dict[tuple[str, str], DatasetFolder] = {}
        files = []
        for target, stream in self._streams.items():
            key = stream.uri, stream.revision
            if key not in folders:
                folders[key] = open_dataset(*key, field="spec.datasets", on_wait=self._on_wait)
            (stored,) = (file for file in folders[key].list_files(stream.path) if file.path == stream.path)
            files.append(SourceFile(folders[key], stored, target))
        return files


def _measure(cache: Path) -> int:
    """Bytes of the Arrow files that are on the node itself."""
    return sum(path.stat().st_size for path in cache.rglob("*.arrow") if not path.is_symlink())
