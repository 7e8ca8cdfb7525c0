"""Which rows were dropped (deepsynth/dropped.parquet in the dataset): their places and reasons, never their texts.

The plan step stages those that it drops, the render step those of its shard, and the publish step joins them: in the
order of the plan, so that the same plan gives the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from deepsynth_store.core.atomic import compute_sha256

DROPPED_PATH: Final = "deepsynth/dropped.parquet"
"""In the dataset."""
PLAN_DROPPED_PATH: Final = "plan/dropped.parquet"
"""In staging: what the plan step drops."""
_BATCH_ROWS: Final = 10_000
_MAX_LOGGED: Final = 5
"""For each reason: enough to see what is wrong, without filling the log."""


@dataclass(frozen=True)
class DroppedRow:
    """A row of the source that is no document.

        DroppedRow("train", 2017, "data/train-0.parquet", row_group=2, row=17, reason="Duplicate")

    split, index: of the source, as in the columns original_split and original_index of pages; if several configurations
    are read, `file` says which one it is. row: its index in the row group or, without one, in the file. All indexes
    count from 0.
    """

    split: str
    index: int
    file: str
    row_group: int | None
    row: int
    reason: str


_get_values: Final = attrgetter(*(field.name for field in fields(DroppedRow)))


def shard_dropped_path(shard: int) -> str:
    """Staging path of what the render step drops."""
    return f"dropped/{shard:05d}.parquet"


class DroppedRowWriter:
    """Writes one file in batches, once there is a row. say: gets a line for the first rows of each reason."""

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self._say = say
        self._pending: list[DroppedRow] = []
        self._writer: Any = None

    def add(self, row: DroppedRow, message: str = "") -> None:
        """message: details for the log."""
        self.counts[row.reason] += 1
        if self.counts[row.reason] <= _MAX_LOGGED:
            group = "" if row.row_group is None else f"row group {row.row_group}, "
            detail = f": {message}" if message else ""
            self._say(f"dropped {row.split}-{row.index} ({row.file}, {group}row {row.row}): {row.reason}{detail}")
        self._pending.append(row)
        if len(self._pending) == _BATCH_ROWS:
            self._flush()

    def close(self) -> str | None:
        """The sha256 of the finished file; None if no row was dropped, and so there is none."""
        if self._pending:
            self._flush()
        if self._writer is None:
            return None
        self._writer.close()
        return compute_sha256(self.path)

    def _flush(self) -> None:
        import pyarrow as pa

        if self._writer is None:
            self._writer = _open_writer(self.path)
        columns = zip(*map(_get_values, self._pending), strict=True)
        schema = _build_schema()
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=schema))
        self._pending.clear()


def join_dropped_rows(parts: Iterable[Path], path: Path) -> None:
    """One file with the rows of all parts, in order."""
    import pyarrow.parquet as pq

    with _open_writer(path) as writer:
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches(_BATCH_ROWS, use_threads=False):
                writer.write_batch(batch)


def read_dropped_rows(path: Path) -> Iterator[DroppedRow]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(_BATCH_ROWS, use_threads=False):
        yield from (DroppedRow(**row) for row in batch.to_pylist())


def _open_writer(path: Path) -> Any:
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(path, _build_schema(), compression="zstd", use_dictionary=["split", "file", "reason"])


def _build_schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("split", pa.string()),
            ("index", pa.int64()),
            ("file", pa.string()),
            ("row_group", pa.int32()),
            ("row", pa.int64()),
            ("reason", pa.string()),
        ]
    )
