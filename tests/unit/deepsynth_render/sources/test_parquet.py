import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.v1alpha1 import Columns
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
def test_rows_are_in_order_for_every_kind_of_string(convert: Callable[[Any], Any]) -> None:
    texts = ParquetTexts(to_file(build_table(convert)), Columns(), "a.parquet")
    assert texts.list_sizes() == [700, 700, 600]
    assert [row for number in range(3) for row in texts.read(number)] == ROWS


def test_a_column_of_nulls_is_a_column_of_missing_texts() -> None:
    table = pa.table({"text": pa.nulls(2), "summary": ["a", "b"]})
    assert list(ParquetTexts(to_file(table), Columns(), "a.parquet").read(0)) == [(None, "a"), (None, "b")]
