"""The planned rows of one shard (plan/rows-NNNNN.parquet): the plan step writes them, the render step reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

_BATCH_ROWS: Final = 1000


@dataclass(frozen=True)
class PlanRow:
    """One document: where its text is, or the text itself.

        PlanRow("data/train-0.parquet", group=2, row=17, index=2017)           # row 17 of row group 2
        PlanRow("train.csv", None, row=5, index=5, text="...", summary="...")  # cannot be found again, so it is here

    group: row group of the file, None if text and summary are here. row: its index in the group or, without one, in
    the file. index: its index in the split. replaced: how many characters of the text and summary became U+FFFD because
    no file can hold them.
    """

    file: str
    group: int | None
    row: int
    index: int
    text: str | None = None
    summary: str | None = None
    replaced: int = 0


_read_values = attrgetter(*(field.name for field in fields(PlanRow)))


class PlanRowWriter:
    """Writes one file in batches, so that the texts of a large shard are never in memory together."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.path = path
        self.count = 0
        self._pending: list[PlanRow] = []
        self._writer = pq.ParquetWriter(path, _build_schema(), compression="zstd", use_dictionary=["file"])

    def add(self, row: PlanRow) -> None:
        self._pending.append(row)
        self.count += 1
        if len(self._pending) == _BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        if self._pending:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        columns = zip(*map(_read_values, self._pending), strict=True)  # astuple would copy each text
        schema = _build_schema()
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=schema))
        self._pending.clear()


def read_plan_rows(path: Path) -> Iterator[PlanRow]:
    """The rows of a file in order. Plans of earlier versions lack the last columns."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    names: Sequence[str] = [field.name for field in fields(PlanRow) if field.name in file.schema_arrow.names]
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        for row in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
            yield PlanRow(*row)


def _build_schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("file", pa.string()),
            ("group", pa.int32()),
            ("row", pa.int64()),
            ("index", pa.int64()),
            ("text", pa.string()),
            ("summary", pa.string()),
            ("replaced", pa.int64()),
        ]
    )
