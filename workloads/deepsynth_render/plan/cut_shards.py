"""Where one shard ends and the next begins."""

from collections.abc import Sequence
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
        self._split = ""
        self._open: dict[str, tuple[int, PlanRowWriter]] = {}
        self._shards: dict[int, PlannedShard] = {}
        self.files: dict[str, Path] = {}

    @property
    def shards(self) -> list[PlannedShard]:
        """Those that are finished, by number."""
        return [shard for _, shard in sorted(self._shards.items())]

    def start_split(self, split: str) -> None:
        """A shard holds rows of one split only."""
        self.finish()
        self._split = split

    def add_group(self, rows: Sequence[PlanRow], held_out: str | None = None) -> None:
        """Rows of one row group, at most rows_per_shard of them. held_out: see `add`."""
        opened = self._open.get(held_out or self._split)
        if opened and opened[1].count + len(rows) > self._limit:
            self._finish(held_out or self._split)
        for row in rows:
            self.add(row, held_out)

    def add(self, row: PlanRow, held_out: str | None = None) -> None:
        """held_out: the split that a row of the source's only split is moved to; None leaves it where it is."""
        split = held_out or self._split
        if split in self._open and self._open[split][1].count == self._limit:
            self._finish(split)
        if split not in self._open:
            number = len(self._shards) + len(self._open)
            path = self._folder / rows_path(number)
            path.parent.mkdir(exist_ok=True)
            self._open[split] = number, PlanRowWriter(path)
        self._open[split][1].add(row)

    def finish(self) -> None:
        """Close the shards that are being written."""
        for split in list(self._open):
            self._finish(split)

    def _finish(self, split: str) -> None:
        number, writer = self._open.pop(split)
        writer.close()
        self.files[rows_path(number)] = writer.path
        self._shards[number] = PlannedShard(
            split=split,
            source_split=None if split == self._split else self._split,
            documents=writer.count,
            rows_sha256=compute_sha256(writer.path),
        )
