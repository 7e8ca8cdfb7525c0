"""Where one shard ends and the next begins."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from deepsynth_render.documents.plan_rows import PlanRow, PlanRowWriter, RowsHeader
from deepsynth_render.documents.render_plan import PlannedShard, rows_path
from deepsynth_store.core.atomic import compute_sha256


class ShardCutter:
    """Distributes a plan's rows over shards of at most rows_per_shard documents and writes each shard's rows.

    Rows of one row group stay in one shard, so that one pod only reads it. Rows that carry their text are cut anywhere:

        rows_per_shard 20, row groups of 8:   | 8 8 | 8 8 | 8 |
        rows_per_shard 20, 40 rows of a CSV:  | 20 | 20 |

    Shards are numbered as they are finished, so those that are finished have no gaps between them.

    shards, files: those that are finished, in order; a file by its staging path. on_finish: called after each.
    """

    def __init__(self, folder: Path, rows_per_shard: int, on_finish: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._limit = rows_per_shard
        self._on_finish = on_finish
        self._split = ""
        self._configs: list[tuple[str, int]] = []  # name, index of its first row in the split
        self._open: dict[str, tuple[PlanRowWriter, PlanRow]] = {}  # with the last row
        self.shards: list[PlannedShard] = []
        self.files: dict[str, Path] = {}

    def start_split(self, split: str) -> None:
        """A shard holds rows of one split only."""
        self.finish()
        self._split = split
        self._configs = []

    def start_config(self, config: str, index: int) -> None:
        """Rows of the split belong to this configuration from this index on. It may be known before they are added."""
        self._configs.append((config, index))

    def add_group(self, rows: Sequence[PlanRow], held_out: str | None = None) -> None:
        """Rows of one row group, at most rows_per_shard of them. held_out: see `add`."""
        opened = self._open.get(held_out or self._split)
        if opened and opened[0].count + len(rows) > self._limit:
            self._finish(held_out or self._split)
        for row in rows:
            self.add(row, held_out)

    def add(self, row: PlanRow, held_out: str | None = None) -> None:
        """held_out: the split that a row of the source's only split is moved to; None leaves it where it is."""
        split = held_out or self._split
        if split in self._open and self._open[split][0].count == self._limit:
            self._finish(split)
        writer = self._open[split][0] if split in self._open else self._open_writer(split)
        writer.add(row)
        self._open[split] = writer, row

    def finish(self) -> None:
        """Close the shards that are being written."""
        for split in list(self._open):
            self._finish(split)

    def _open_writer(self, split: str) -> PlanRowWriter:
        path = self._folder / "plan" / f"open-{split}.parquet"
        path.parent.mkdir(exist_ok=True)
        return PlanRowWriter(path)

    def _finish(self, split: str) -> None:
        writer, last = self._open.pop(split)
        source_split = None if split == self._split else self._split
        writer.close(RowsHeader(split=split, source_split=source_split, config_rows=self._count_configs(last.index)))
        staging_path = rows_path(len(self.shards))
        path = writer.path.rename(self._folder / staging_path)
        self.files[staging_path] = path
        self.shards.append(
            PlannedShard(
                split=split, source_split=source_split, documents=writer.count, rows_sha256=compute_sha256(path)
            )
        )
        self._on_finish()

    def _count_configs(self, last: int) -> dict[str, int]:
        """Rows of each configuration up to this index. Those behind it do not count: they may not be known yet."""
        known = [(name, start) for name, start in self._configs if start <= last]
        return {name: end - start for (name, start), (_, end) in pairwise([*known, ("", last + 1)])}
