"""The planned rows of one shard (plan/rows-NNNNN.parquet): the plan step writes them, the render step reads them."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from deepsynth_api.errors import DataError
from deepsynth_api.v1alpha1.shared.base import ApiModel

_BATCH_ROWS: Final = 1000
_HEADER_KEY: Final = b"deepsynth.shard"


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


class RowsHeader(ApiModel):
    """What a file of rows says about its shard, so that it can be rendered before there is a plan.

    source_split: of its rows, where it is another one. config_rows: how many rows of this split each configuration has,
    up to the last row of the shard; empty unless there are several configurations.
    """

    split: str
    source_split: str | None = None
    config_rows: dict[str, int] = Field(default_factory=dict)


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

    def close(self, header: RowsHeader) -> None:
        if self._pending:
            self._flush()
        self._writer.add_key_value_metadata({_HEADER_KEY: header.model_dump_json(by_alias=True, exclude_none=True)})
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        columns = zip(*map(_read_values, self._pending), strict=True)  # astuple would copy each text
        schema = _build_schema()
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=schema))
        self._pending.clear()


def read_plan_rows(path: Path) -> Iterator[PlanRow]:
    """The rows of a file in order. Those of earlier versions lack the last columns. Raises DataError for damage."""
    with _explain_damage(path):
        file = _open(path)
        names: Sequence[str] = [field.name for field in fields(PlanRow) if field.name in file.schema_arrow.names]
        for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
            yield from (PlanRow(*row) for row in zip(*(batch.column(name).to_pylist() for name in names), strict=True))


def read_rows_header(path: Path) -> tuple[RowsHeader, int]:
    """What a file says about its shard, and the number of its rows. Raises DataError if it is damaged."""
    with _explain_damage(path):
        metadata = _open(path).metadata
        return RowsHeader.model_validate_json(metadata.metadata[_HEADER_KEY]), metadata.num_rows


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path)


@contextlib.contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, KeyError, TypeError, ValidationError) as error:
        raise DataError(
            f"{path.name} in staging is damaged ({error}); delete and re-apply the resource to plan again"
        ) from error


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
