"""Random access to the rows of memory-mapped Arrow files, and their names for messages. A row is a page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepsynth_api.errors import DataError


class PageTable:
    """Pages of several files under consecutive numbers. Holds only file maps and one number per record batch.

    With two files of 300 and 100 rows, row 299 is the last of the first file and row 300 the first of the second:
    `file_starts` is [0, 300, 400]. A column that only some of the files have is null in the others.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        readers = [pa.ipc.open_file(pa.memory_map(str(path))) for path in files]
        batches = [[reader.get_batch(n) for n in range(reader.num_record_batches)] for reader in readers]
        self.file_starts = np.cumsum([0, *(sum(batch.num_rows for batch in own) for own in batches)])
        self._batches = list(chain.from_iterable(batches))
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        self.columns = {name for reader in readers for name in reader.schema.names}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, row: int, column: str) -> Any:
        """One cell as a Python value."""
        batch = int(np.searchsorted(self._starts, row, side="right")) - 1
        place = self._batches[batch].schema.get_field_index(column)
        return None if place < 0 else self._batches[batch].column(place)[row - int(self._starts[batch])].as_py()

    def read_image(self, row: int, where: str) -> bytes:
        """The encoded image. Raises DataError, naming `where`, when the cell has no bytes."""
        value = self.read(row, "image")
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise DataError(f"{where}: column 'image' must hold the bytes of an image, {_explain_missing(value)}")
        return content

    def find_types(self, column: str) -> list[pa.DataType]:
        """The Arrow types that the column has in the files, each once."""
        places = [(batch.schema, batch.schema.get_field_index(column)) for batch in self._batches]
        return list(dict.fromkeys(schema.field(place).type for schema, place in places if place >= 0))

    def iter_column(self, column: str) -> Iterator[Any]:
        """The column of each record batch, in order."""
        for batch in self._batches:
            place = batch.schema.get_field_index(column)
            yield batch.column(place) if place >= 0 else pa.nulls(batch.num_rows)


def _explain_missing(value: Any) -> str:
    """What a cell without bytes has, and what to do: `datasets` writes paths of files that other machines lack."""
    path = value.get("path") if isinstance(value, dict) else None
    if not path:
        return "got none; upload the row again"
    return (
        f"got the path {path!r}; write the parquet files again, from "
        'dataset.with_format("arrow").map(datasets.table.embed_table_storage, batched=True), which has the bytes'
    )


@dataclass(frozen=True)
class RowNames:
    """Names rows of a table for messages. sizes, splits: rows of each dataset in the table, and the split that they
    belong to, by the dataset's name.

    With {"a": 100, "b": 50} and {"a": "validation", "b": "train"}, of which documents are held out, row 103 is
    `spec.datasets[b]: row 3 of the train split`.
    """

    sizes: Mapping[str, int]
    splits: Mapping[str, str]

    def name(self, first: int, count: int = 1) -> str:
        """first: of `count` rows, counted over all datasets from 0."""
        for dataset, rows in self.sizes.items():
            if first < rows:
                numbers = f"row {first}" if count == 1 else f"rows {first} to {first + count - 1}"
                return f"spec.datasets[{dataset}]: {numbers} of the {self.splits[dataset]} split"
            first -= rows
        raise IndexError(first)


def get_image_bytes(column: pa.Array) -> pa.Array:
    """The encoded images of a column, which holds them as they are or in a struct."""
    return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold labels; a column of nulls can, as missing ones."""
    types = pa.types
    return any(
        is_kind(kind) for is_kind in (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    )


def is_number(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_integer, pa.types.is_floating, pa.types.is_null))
