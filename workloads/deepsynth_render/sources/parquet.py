"""Reading two columns of a parquet file, row group by row group, in bounded memory."""

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Columns
from deepsynth_render.sources.columns import choose_columns
from deepsynth_render.sources.interface import Row

_BATCH_ROWS = 512
_READ_BYTES = 8 * 2**20


class ParquetTexts:
    """The texts of one open file. Raises DataError when it is damaged or a column does not hold strings.

    where: the file's name in messages.
    """

    def __init__(self, file: BinaryIO, columns: Columns, where: str) -> None:
        import pyarrow.parquet as pq

        self._where = where
        with explain_damage(where):
            # Read through a buffer, not by whole column chunks: a row group of a million texts may exceed the memory.
            self._parquet: pq.ParquetFile = pq.ParquetFile(file, buffer_size=_READ_BYTES, pre_buffer=False)
            schema = self._parquet.schema_arrow
        self._columns = choose_columns(schema.names, columns, where)
        for name in self._columns:
            _check_type(schema.field(name), where)

    def list_sizes(self) -> list[int]:
        """Rows of each row group."""
        metadata = self._parquet.metadata
        return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]

    def read(self, number: int) -> Iterator[Row]:
        with explain_damage(self._where):
            batches = self._parquet.iter_batches(
                _BATCH_ROWS, row_groups=[number], columns=list(self._columns), use_threads=False
            )
            for batch in batches:
                texts, summaries = (batch.column(name).to_pylist() for name in self._columns)
                yield from zip(texts, summaries, strict=True)


def _check_type(field: Any, where: str) -> None:
    import pyarrow as pa

    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(is_known(kind) for is_known in known):
        raise DataError(
            f"column {field.name!r} of {where} must hold text, got {kind}; name another one in spec.source.columns",
            reason=Reason.WRONG_COLUMN_TYPE,
        )


@contextlib.contextmanager
def explain_damage(where: str) -> Iterator[None]:
    """Turn pyarrow's errors for damaged bytes into a DataError. Errors of the store pass through."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _damaged(where, error) from error
    except OSError as error:
        if error.errno is not None:  # from the disk or the network: pyarrow's own have no number
            raise
        raise _damaged(where, error) from error


def _damaged(where: str, error: Exception) -> DataError:
    return DataError(
        f"{where} is not a readable parquet file ({' '.join(str(error).split())[:200]}); "
        "replace it with an undamaged copy, or name the other splits in spec.source.splits",
        reason=Reason.DAMAGED_FILE,
    )
