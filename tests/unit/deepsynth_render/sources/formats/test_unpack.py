import gzip
import io
import json
import random
from typing import BinaryIO, cast

import pyarrow as pa
import pytest

from deepsynth_api.v1alpha1 import Columns
from deepsynth_render.sources.formats import read_rows
from deepsynth_render.sources.formats.columns import ColumnChooser
from deepsynth_render.sources.formats.suffixes import Compression, FormatName
from deepsynth_render.sources.formats.unpack import unpack


class CountedFile(io.BytesIO):
    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        return super().read(size)


@pytest.mark.parametrize(
    ("name", "compression"), [("jsonl", None), ("json", None), ("jsonl", "gzip"), ("jsonl", "zstd")]
)
def test_a_file_is_read_in_a_few_large_parts(name: FormatName, compression: Compression | None) -> None:
    """On the Hub each read is a request: with 64 KiB, a file of a gigabyte would take 16,000 of them."""
    generator = random.Random(0)
    rows = [{"text": f"{generator.randbytes(50_000).hex()}", "summary": "s"} for _ in range(250)]
    content = (json.dumps(rows) if name == "json" else "".join(json.dumps(row) + "\n" for row in rows)).encode()
    if compression == "gzip":
        content = gzip.compress(content, 1)
    elif compression == "zstd":
        content = pa.compress(content, "zstd", asbytes=True)
    file = CountedFile(content)
    stream = unpack(cast("BinaryIO", file), compression)
    assert sum(1 for _ in read_rows(stream, name, ColumnChooser(Columns()), "data")) == len(rows)
    assert file.reads <= len(content) // 2**23 + 2
    assert not file.closed
