"""Reading two columns of a parquet file, row group by row group, in bounded memory."""

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_render.sources.formats.columns import NO_SUMMARY, ColumnChooser
from deepsynth_render.sources.formats.messages import KEYS, compose_pair, compose_text
from deepsynth_render.sources.formats.row import Row

_BATCH_ROWS = 512
_READ_BYTES = 8 * 2**20


class ParquetTexts:
    """The texts of one open file. Raises DataError when it is damaged or a column does not hold strings.

    where: the file's name in messages.
    """

    def __init__(self, file: BinaryIO, chooser: ColumnChooser, where: str) -> None:
        import pyarrow.parquet as pq

        self._where = where
        with explain_damage(where):
            # Read through a buffer, not by whole column chunks: a row group of a million texts may exceed the memory.
            self._parquet: pq.ParquetFile = pq.ParquetFile(file, buffer_size=_READ_BYTES, pre_buffer=False)
            schema = self._parquet.schema_arrow
        # By index: two columns may have one name, which the choice refuses if it is one of the two.
        kinds = [(name, schema.field(index).type) for index, name in enumerate(schema.names)]
        self._chats = {name for name, kind in kinds if _is_chat(kind)}
        texts = {name for name, kind in kinds if _is_text(kind)}
        self._text, self._summary = chooser.choose(schema.names, where, texts=texts, chats=self._chats)
        self._names = [name for name in dict.fromkeys((self._text, self._summary)) if name != NO_SUMMARY]
        for name in self._names:
            if name not in texts | self._chats:
                raise _wrong_type(schema.field(name), where)

    def list_sizes(self) -> list[int]:
        """Rows of each row group."""
        metadata = self._parquet.metadata
        return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]

    def read(self, number: int) -> Iterator[Row]:
        with explain_damage(self._where):
            batches = self._parquet.iter_batches(
                _BATCH_ROWS, row_groups=[number], columns=self._names, use_threads=False
            )
            for batch in batches:
                yield from self._read_batch(batch)

    def _read_batch(self, batch: Any) -> Iterator[Row]:
        texts = batch.column(self._text).to_pylist()
        if self._text == self._summary:
            return map(compose_pair, texts)
        if self._text in self._chats:
            texts = map(compose_text, texts)
        if self._summary == NO_SUMMARY:
            return ((text, "") for text in texts)
        summaries = batch.column(self._summary).to_pylist()
        return zip(texts, map(compose_text, summaries) if self._summary in self._chats else summaries, strict=True)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(is_known(kind) for is_known in known)


def _is_chat(kind: Any) -> bool:
    import pyarrow as pa

    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_list(kind) for is_list in lists) or not pa.types.is_struct(kind.value_type):
        return False
    return any(all(kind.value_type.get_field_index(name) >= 0 for name in names) for names in KEYS)


def _wrong_type(field: Any, where: str) -> DataError:
    return DataError(
        f"column {field.name!r} of {where} must hold text or messages (role, content), got {field.type}; name another "
        "one in spec.source.columns",
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
    remedy = "write it without encryption" if "crypt" in str(error) else "replace it with an undamaged copy"
    return DataError(
        f"{where} is not a readable parquet file ({' '.join(str(error).split())[:200]}); "
        f"{remedy}, or name the other splits in spec.source.splits",
        reason=Reason.DAMAGED_FILE,
    )
