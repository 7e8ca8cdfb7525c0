"""The files that the store has under many names: pages to train on, texts to render."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from benchmarks.large.store import MARK
from PIL import Image

PAGE_BYTES: Final = 60_000
_DRAWN_PAGES: Final = 200
_PAGES_PER_GROUP: Final = 100
"""As our renderer writes them."""
_TEXT: Final = "The committee met in the old town hall and read the report of the year before it voted. " * 110
_ROWS_PER_GROUP: Final = 1000


def write_pages(path: Path, size: int, page_bytes: int = PAGE_BYTES, characters: int = 1500) -> int:
    """A parquet file with pages of random dots, and `characters` of text for each. Returns their number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = size // page_bytes
    drawn = list(_draw_pages(page_bytes))
    schema = pa.schema(
        {
            "document_id": pa.string(),
            "page": pa.int32(),
            "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            "text": pa.string(),
            "summary": pa.string(),
        }
    )
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, _PAGES_PER_GROUP):
            numbers = range(start, min(start + _PAGES_PER_GROUP, rows))
            images = [{"bytes": drawn[number % len(drawn)], "path": None} for number in numbers]
            columns: list[Any] = [[f"row-{number}" for number in numbers], [0] * len(images), images]
            texts = [[f"Page {number}. {_TEXT[:characters]}" for number in numbers], ["A summary."] * len(images)]
            writer.write_batch(pa.record_batch([*columns, *texts], schema=schema))
    return rows


def write_parquet_texts(path: Path, size: int) -> None:
    """Without compression, statistics and dictionaries: the store writes numbers into it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"text": pa.string(), "summary": pa.string()})
    rows = size // len(_TEXT)
    with pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=False, write_statistics=False, column_encoding="PLAIN"
    ) as writer:
        for start in range(0, rows, _ROWS_PER_GROUP):
            numbers = range(start, min(start + _ROWS_PER_GROUP, rows))
            columns = [[_write_text(number) for number in numbers], [_write_title(number) for number in numbers]]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def write_json_texts(path: Path, size: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(size // len(_TEXT)):
            file.write(json.dumps({"text": _write_text(number), "summary": _write_title(number)}) + "\n")


def _write_text(number: int) -> str:
    return f"{_write_title(number)} {_TEXT}"


def _write_title(number: int) -> str:
    return f"Report {number:07} of file {MARK.decode()}."


def _draw_pages(page_bytes: int) -> Iterator[bytes]:
    dots, side = np.random.default_rng(1), int(page_bytes**0.5)
    for _ in range(_DRAWN_PAGES):
        content = io.BytesIO()
        Image.fromarray(dots.integers(0, 256, (side, side), np.uint8)).save(content, "png", compress_level=0)
        yield content.getvalue()
