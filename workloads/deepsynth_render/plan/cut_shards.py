"""Where one shard ends and the next begins."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from deepsynth_render.documents.plan import PlannedShard, rows_path
from deepsynth_render.documents.rows import PlanRow, PlanRowWriter


class ShardCutter:
    """Distributes a plan's rows over shards of at most rows_per_shard documents and writes each shard's rows.

    Rows of one row group stay in one shard, so that it is read once; rows that carry their text are cut anywhere.
    """

    def __init__(self, folder: Path, rows_per_shard: int) -> None:
        self._folder = folder
        self._limit = rows_per_shard
        self._writer: PlanRowWriter | None = None
        self._split = ""
        self.shards: list[PlannedShard] = []
        self.files: dict[str, Path] = {}

    def start_split(self, split: str) -> None:
        """A shard holds rows of one split only."""
        self.finish()
        self._split = split

    def add_group(self, rows: Iterable[PlanRow]) -> None:
        """Rows of one row group, at most rows_per_shard of them."""
        rows = list(rows)
        if self._writer and self._writer.count + len(rows) > self._limit:
            self.finish()
        for row in rows:
            self.add(row)

    def add(self, row: PlanRow) -> None:
        if self._writer and self._writer.count == self._limit:
            self.finish()
        if self._writer is None:
            path = self._folder / rows_path(len(self.shards))
            path.parent.mkdir(exist_ok=True)
            self._writer = PlanRowWriter(path)
        self._writer.add(row)

    def finish(self) -> None:
        """Close the shard under way."""
        if self._writer is None:
            return
        self._writer.close()
        with self._writer.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.files[rows_path(len(self.shards))] = self._writer.path
        self.shards.append(PlannedShard(split=self._split, documents=self._writer.count, rows_sha256=digest))
        self._writer = None
