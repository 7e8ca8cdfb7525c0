"""The samples that a run has chosen, for its later attempts and, in the folder of spec.cache.uri, for other runs."""

import logging
from collections.abc import Iterator
from pathlib import Path

from deepsynth_api.errors import WorkloadError
from deepsynth_store.cache.files import FileCache, Item
from deepsynth_train.checkpoint.files import RunFiles
from deepsynth_train.checkpoint.layout import INDEX_FILE
from deepsynth_train.checkpoint.owner import Owner
from deepsynth_train.data.selection.chosen import ChosenSamples

logger = logging.getLogger(__name__)


class KeptSamples:
    """Used by the first process of an attempt. What cannot be read or written is logged: samples are chosen again."""

    def __init__(self, files: RunFiles, shared: FileCache | None) -> None:
        """files: of the run. shared: of `open_cache`."""
        self._files = files
        self._shared = shared
        self._unwritten: bytes | None = None

    def find(self, key: str) -> ChosenSamples | None:
        """key: see `compute_key`."""
        for place, content in self._read(key):
            try:
                chosen = ChosenSamples.decode(content, key)
            except ValueError as error:
                logger.warning("the samples in %s are not used: %s", place, error)
                continue
            logger.info("the samples are those in %s", place)
            return chosen
        return None

    def keep(self, key: str, chosen: ChosenSamples) -> None:
        """In the shared folder now, with the run once `write` is called."""
        self._unwritten = content = chosen.encode(key)
        if self._shared:
            item = Item(key, len(content), lambda path: path.write_bytes(content))
            for _ in self._shared.fetch([item], lambda: None):
                pass

    def write(self, owner: Owner) -> None:
        """Next to the checkpoints, which `owner` has claimed. Raises PeerLostError when a later attempt owns them."""
        if self._unwritten is None:
            return
        self._files.check_ownership(owner)
        try:
            self._files.write(INDEX_FILE, self._unwritten)
        except (OSError, WorkloadError) as error:
            logger.warning("the samples cannot be kept in %s: %s", self._files.place, error)
        self._unwritten = None

    def _read(self, key: str) -> Iterator[tuple[str, bytes]]:
        """Places, and what is there."""
        try:
            content = self._files.read(INDEX_FILE)
        except (OSError, WorkloadError) as error:
            logger.warning("%s/%s cannot be read: %s", self._files.place, INDEX_FILE, error)
            content = None
        if content is not None:
            yield f"{self._files.place}/{INDEX_FILE}", content
        path = self._find_shared(key)
        if path is None:
            return
        try:
            self._unwritten = path.read_bytes()
        except OSError as error:
            logger.warning("%s cannot be read: %s", path, error)
            return
        yield str(path), self._unwritten

    def _find_shared(self, key: str) -> Path | None:
        return self._shared.find({key}).get(key) if self._shared else None
