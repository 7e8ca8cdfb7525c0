"""Random access to the rows of memory-mapped Arrow files. A row is a page."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from deepsynth_api.errors import DataError


class PageTable:
    """Pages of several files under consecutive numbers. Holds only file maps and one number per record batch.

    With two files of 300 and 100 rows, row 299 is the last of the first file and row 300 the first of the second.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        readers = [pa.ipc.open_file(pa.memory_map(str(path))) for path in files]
        self._batches = [reader.get_batch(n) for reader in readers for n in range(reader.num_record_batches)]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        self.columns = set.intersection(*(set(reader.schema.names) for reader in readers)) if readers else set()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, row: int, column: str) -> Any:
        """One cell as a Python value."""
        batch = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._batches[batch].column(column)[row - int(self._starts[batch])].as_py()

    def read_image(self, row: int) -> bytes:
        """The encoded image. Raises DataError when the cell has no bytes."""
        value = self.read(row, "image")
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise DataError(f"row {row}: column 'image' must be a struct of bytes and path, got no bytes")
        return content

    def iter_column(self, column: str) -> Iterator[Any]:
        """The column of each record batch, in order."""
        for batch in self._batches:
            yield batch.column(column)
