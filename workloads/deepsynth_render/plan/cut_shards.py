"""Where one shard ends and the next begins."""

from collections.abc import Iterable
from pathlib import Path

from deepsynth_render.documents.plan_rows import PlanRow, PlanRowWriter
from deepsynth_render.documents.render_plan import PlannedShard, rows_path
from deepsynth_store.core.atomic import compute_sha256


class ShardCutter:
    """Distributes a plan's rows over shards of at most rows_per_shard documents and writes each shard's rows.

    Rows of one row group stay in one shard, so that one pod only reads it. Rows that carry their text are cut anywhere:

        rows_per_shard 20, row groups of 8:   | 8 8 | 8 8 | 8 |
        rows_per_shard 20, 40 rows of a CSV:  | 20 | 20 |
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
        """Close the shard that is being written, if any."""
        if self._writer is None:
            return
        self._writer.close()
        path, count = self._writer.path, self._writer.count
        self.files[rows_path(len(self.shards))] = path
        self.shards.append(PlannedShard(split=self._split, documents=count, rows_sha256=compute_sha256(path)))
        self._writer = None
