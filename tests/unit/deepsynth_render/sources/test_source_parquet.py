import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import DataError
from deepsynth_api.v1alpha1 import Columns, Source
from deepsynth_render.sources import open_source
from deepsynth_render.sources.parquet import ParquetTexts

ROWS = [(f"text {number}", None if number % 7 == 0 else f"summary {number}") for number in range(2000)]


def to_file(table: Any, group_rows: int = 700) -> io.BytesIO:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=group_rows)
    return io.BytesIO(sink.getvalue())


def build_table(convert: Callable[[Any], Any] = lambda array: array) -> Any:
    texts, summaries = zip(*ROWS, strict=True)
    return pa.table({"id": range(2000), "summary": convert(pa.array(summaries)), "text": convert(pa.array(texts))})


@pytest.mark.parametrize(
    "convert",
    [
        lambda array: array,
        lambda array: array.cast(pa.large_string()),
        lambda array: array.dictionary_encode(),
    ],
)
def test_rows_come_in_order_whatever_kind_of_string_holds_them(convert: Callable[[Any], Any]) -> None:
    texts = ParquetTexts(to_file(build_table(convert)), Columns(), "a.parquet")
    assert texts.list_sizes() == [700, 700, 600]
    assert [row for number in range(3) for row in texts.read(number)] == ROWS


def test_a_column_of_nulls_is_a_column_of_missing_texts() -> None:
    table = pa.table({"text": pa.nulls(2), "summary": ["a", "b"]})
    assert list(ParquetTexts(to_file(table), Columns(), "a.parquet").read(0)) == [(None, "a"), (None, "b")]


def test_a_row_group_is_read_again_alone(tmp_path: Path) -> None:
    pq.write_table(build_table(), tmp_path / "train.parquet", row_group_size=700)
    source = open_source(Source(uri=f"file://{tmp_path}"))
    first = [(group.file, group.number, list(group.rows)) for group in source.read("train")]
    assert [list(source.read_again(file, number or 0)) for file, number, _ in first] == [rows for *_, rows in first]


def test_a_single_file_that_changed_since_it_was_pinned_is_refused(tmp_path: Path) -> None:
    pq.write_table(build_table(), tmp_path / "train.parquet")
    source = Source(uri=f"file://{tmp_path}/train.parquet")
    revision = open_source(source).revision
    assert open_source(source, revision).revision == revision
    pq.write_table(build_table().slice(0, 5), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="has changed since it was pinned"):
        open_source(source, revision)
