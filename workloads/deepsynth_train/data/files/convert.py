"""One parquet file of pages -> an uncompressed Arrow file: checked, decoded, and with its pages in their order."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final

from deepsynth_api.counted import counted
from deepsynth_api.errors import DataError
from deepsynth_train.data.files.columns import PAGE_COLUMNS
from deepsynth_train.data.files.images import check_page
from deepsynth_train.data.files.page_order import find_page_order
from deepsynth_train.data.files.page_table import get_image_bytes

_MAX_NAMED: Final = 10
"""Damaged rows that a message names."""
_BATCH_ROWS: Final = 64
"""Few enough that the images of a batch stay below the 2 GiB of an Arrow array."""


def convert_parquet(parquet: Path, target: Path, where: str) -> None:
    """Parquet -> an uncompressed Arrow file with the page columns. Raises DataError, naming `where`."""
    import pyarrow.parquet as pq

    with explain_unreadable(where):
        # Mapped: else pyarrow copies a whole column of a row group into memory, and a file may be a single row group.
        file = pq.ParquetFile(parquet, memory_map=True)
        columns = find_columns(file.schema_arrow, where)
        schema = build_schema(file.schema_arrow, columns)
        # By row group: pyarrow cannot read a batch of two row groups whose dictionaries differ.
        groups = (
            file.iter_batches(_BATCH_ROWS, row_groups=[n], columns=columns) for n in range(file.metadata.num_row_groups)
        )
        unsorted = target.with_suffix(".unsorted")
        write_arrow(_check_images(chain.from_iterable(groups), where), schema, unsorted)
        _sort_pages(unsorted, target)


def find_columns(schema: Any, where: str) -> list[str]:
    """The page columns that a parquet file has. Raises DataError if it has no images, or a column that is unusable."""
    columns = [name for name in PAGE_COLUMNS if name in schema.names]
    if repeated := [name for name in columns if schema.names.count(name) > 1]:
        raise DataError(f"{where}: has several columns named {repeated[0]!r}; rename or remove all but one")
    if "image" not in columns:
        raise DataError(f"{where}: no column 'image'; the columns are {', '.join(schema.names)}")
    _check_image_type(schema.field("image").type, where)
    if "document_id" in columns:
        _check_id_type(schema.field("document_id").type, where)
    return columns


def build_schema(schema: Any, columns: Sequence[str]) -> Any:
    """Of the Arrow file. Without dictionary encoding: it allows one dictionary per column, each row group has one."""
    import pyarrow as pa

    return pa.schema([_decode_field(schema.field(name)) for name in columns])


@contextmanager
def explain_unreadable(where: str) -> Iterator[None]:
    """Turn errors of the parquet library into DataError. Errors of the disk stay what they are."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(f"{where}: not a readable parquet file ({error}); render or upload it again") from error


def _check_images(batches: Iterable[Any], where: str) -> Iterator[Any]:
    """`batches`, unless an image in them is damaged: training would find it hours later. Missing ones are not damaged.

    Raises DataError that names the first damaged rows of the file.
    """
    damaged: list[tuple[int, str]] = []
    start = 0
    for batch in batches:
        for number, image in enumerate(get_image_bytes(batch.column("image")), start=start):
            if image.is_valid:
                try:
                    check_page(image.as_py(), f"row {number}")
                except DataError as error:
                    damaged.append((number, error.message))
        start += batch.num_rows
        yield batch
    if damaged:
        rows = ", ".join(str(number) for number, _ in damaged[:_MAX_NAMED])
        more = f" and {len(damaged) - _MAX_NAMED} more" if len(damaged) > _MAX_NAMED else ""
        raise DataError(
            f"{where}: the images of {counted(len(damaged), 'row')} are damaged ({rows}{more}); {damaged[0][1]}, or "
            "remove it"
        )


def _sort_pages(unsorted: Path, target: Path) -> None:
    """Move a file, with the rows of each document in the order of its pages."""
    import pyarrow as pa

    with pa.memory_map(str(unsorted)) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
        order = find_page_order(table)
        if order is not None:
            starts = range(0, len(order), _BATCH_ROWS)
            groups = (_gather(table, order[start : start + _BATCH_ROWS].tolist()) for start in starts)
            write_arrow(chain.from_iterable(groups), table.schema, target)
            unsorted.unlink()
            return
    unsorted.rename(target)


def _gather(table: Any, rows: Sequence[int]) -> Any:
    """These rows as record batches. Row by row: `take` would first copy all images into one array."""
    import pyarrow as pa

    return pa.concat_tables([table.slice(row, 1) for row in rows]).combine_chunks().to_batches()


def _check_image_type(kind: Any, where: str) -> None:
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    inner = inner.field("bytes").type if pa.types.is_struct(inner) and inner.get_field_index("bytes") >= 0 else inner
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner) or pa.types.is_binary_view(inner)):
        raise DataError(f"{where}: column 'image' must hold the bytes of an image, got {kind}; upload the pages again")


def _check_id_type(kind: Any, where: str) -> None:
    import pyarrow as pa

    if pa.types.is_nested(kind):
        raise DataError(f"{where}: column 'document_id' must hold text or numbers, got {kind}; convert or remove it")


def _decode_field(field: Any) -> Any:
    import pyarrow as pa

    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def write_arrow(batches: Any, schema: Any, target: Path) -> None:
    """Write record batches to a temporary file and rename it: the file is complete or absent."""
    import pyarrow as pa

    partial = target.with_suffix(".partial")
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.select(schema.names).cast(schema))
    partial.rename(target)
