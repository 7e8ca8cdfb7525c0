"""Shards of pages as the renderer writes them, with images of random bytes."""

import io
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def build_page_rows(count: int, image_bytes: int = 1000) -> list[dict[str, Any]]:
    """Each third page has the most text."""
    source = random.Random(7)
    return [
        {
            "image": {"bytes": b"\x89PNG\r\n\x1a\n" + source.randbytes(image_bytes), "path": f"{number}.png"},
            "text": f"page {number} " + "words " * (number % 3),
            "summary": f"summary {number}",
            "page": 0,
            "num_pages": 1,
            "language": "en",
        }
        for number in range(count)
    ]


def build_page_shard(rows: list[dict[str, Any]], group_rows: int = 100) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=group_rows, compression="none")
    return sink.getvalue()
