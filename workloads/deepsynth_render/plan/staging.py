"""How a plan gets into staging: all of it at its end and, to be rendered ahead, finished shards before that."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from deepsynth_render.documents.dataset_manifest import find_published_draft
from deepsynth_store import DatasetTarget
from deepsynth_store.core.file_listing import size_of

_FILES_PER_COMMIT: Final = 50
"""The Hub's advice."""
_MIN_SECONDS: Final = 10.0
_SHARE_OF_TIME: Final = 0.25
"""The Hub limits commits per hour: so the longer a plan takes, the longer its pauses between them."""


class StagingAhead:
    """Stages finished shards while the plan step reads on, first after ten seconds: a short plan is staged at its end.

    draft: its digest. inputs: what any shard needs besides its rows. on_staged: gets the number of shards that can be
    rendered from now on. clock: seconds.
    """

    def __init__(
        self,
        target: DatasetTarget,
        draft: str,
        inputs: Mapping[str, bytes],
        on_staged: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._draft = draft
        self.inputs = inputs
        self._on_staged = on_staged
        self._clock = clock
        self._started = clock()
        self._next = self._started + _MIN_SECONDS
        self._staged: dict[str, int] = {}  # staging path -> bytes

    def is_due(self) -> bool:
        return self._clock() >= self._next

    def stage(self, rows: Mapping[str, Path]) -> None:
        """rows: the files of all shards that are finished, in order from the first one."""
        if find_published_draft(self._target, self._draft):
            self._next = math.inf  # nothing is left to render, and staging is gone
            return
        if not self._staged:
            self._target.prepare()
        files: dict[str, bytes | Path] = {**self.inputs, **rows}
        stage(self._target, files, self._staged)
        self._staged = {path: size_of(content) for path, content in files.items()}
        self._on_staged(len(rows))
        now = self._clock()
        self._next = now + max(_MIN_SECONDS, _SHARE_OF_TIME * (now - self._started))

    def find_staged(self) -> set[str]:
        """Paths of what it has staged and is still there: another generation of the same draft may have removed it."""
        present = {file.path: file.size for file in self._target.list_staged("plan/")} if self._staged else {}
        return {path for path, size in self._staged.items() if present.get(path) == size}


def stage(target: DatasetTarget, files: Mapping[str, bytes | Path], done: Collection[str] = ()) -> None:
    """Stage files in commits of moderate size, in order: if the last one is there, all are. done: paths to skip."""
    paths = [path for path in files if path not in done]
    for start in range(0, len(paths), _FILES_PER_COMMIT):
        target.put({path: files[path] for path in paths[start : start + _FILES_PER_COMMIT]})
