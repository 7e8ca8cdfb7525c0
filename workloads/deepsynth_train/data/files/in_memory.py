"""Pages that are not parquet yet (a datasets.Dataset, pairs, a folder of images) -> the parquet that training reads."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from deepsynth_train.data.files.columns import PAGE_COLUMNS

Row = Mapping[str, Any]
ROWS_PER_BATCH: Final = 64


@dataclass(frozen=True)
class Pages:
    """The pages of one split. identity: equal for equal content, in all processes. columns: those of `rows`.

    read_rows: yields a dict for each page, with `image` as the encoded bytes.
    """

    identity: str
    columns: tuple[str, ...]
    read_rows: Callable[[], Iterator[Row]]


def compute_name(splits: Mapping[str, Pages]) -> str:
    """A folder name for the content of all splits."""
    text = "\0".join(f"{name} {' '.join(pages.columns)} {pages.identity}" for name, pages in sorted(splits.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_pages(pages: Pages, target: Path) -> None:
    """Write one parquet file that holds the bytes of every image. Does nothing if it exists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}")
    schema = _build_schema(pages.columns)
    with pq.ParquetWriter(partial, schema, compression="none") as writer:
        for batch in _in_batches(pages.read_rows()):
            rows = [{**row, "image": {"bytes": row["image"], "path": None}} for row in batch]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
    os.utime(partial, (0, 0))  # a folder's revision includes file times; here only the content matters
    partial.rename(target)


def _build_schema(columns: Iterable[str]) -> Any:
    import pyarrow as pa

    kinds = {
        "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        "page": pa.int64(),
        "num_pages": pa.int64(),
    }
    return pa.schema({name: kinds.get(name, pa.large_string()) for name in PAGE_COLUMNS if name in columns})


def _in_batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, ROWS_PER_BATCH)):
        yield batch
