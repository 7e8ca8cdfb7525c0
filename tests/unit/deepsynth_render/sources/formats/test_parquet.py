import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import DataError
from deepsynth_api.v1alpha1 import Columns
from deepsynth_render.sources.formats.columns import ColumnChooser
from deepsynth_render.sources.formats.parquet import ParquetTexts

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
    texts = ParquetTexts(to_file(build_table(convert)), ColumnChooser(Columns()), "a.parquet")
    assert texts.list_sizes() == [700, 700, 600]
    assert [row for number in range(3) for row in texts.read(number)] == ROWS


def test_a_column_of_nulls_is_a_column_of_missing_texts() -> None:
    table = pa.table({"text": pa.nulls(2), "summary": ["a", "b"]})
    assert list(ParquetTexts(to_file(table), ColumnChooser(Columns()), "a.parquet").read(0)) == [
        (None, "a"),
        (None, "b"),
    ]


def test_columns_whose_dictionaries_differ_between_row_groups_are_read() -> None:
    arrays = [pa.array([word] * 3).dictionary_encode() for word in ("first", "second")]
    schema = pa.schema({"text": arrays[0].type, "summary": pa.string()})
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema) as writer:
        for array in arrays:
            writer.write_table(pa.table([array, pa.array(["s"] * 3)], schema=schema))
    texts = ParquetTexts(io.BytesIO(sink.getvalue()), ColumnChooser(Columns()), "a.parquet")
    assert [row for number in range(2) for row in texts.read(number)] == [("first", "s")] * 3 + [("second", "s")] * 3


def test_a_column_of_messages_gives_text_and_summary() -> None:
    chat = [{"role": "user", "content": "Long."}, {"role": "assistant", "content": "Short."}]
    table = pa.table({"id": [1, 2, 3], "messages": [chat, None, []]})
    rows = list(ParquetTexts(to_file(table), ColumnChooser(Columns()), "a.parquet").read(0))
    assert rows == [("Long.", "Short."), (None, None), (None, None)]


@pytest.mark.parametrize("length", [None, 2])
def test_lists_of_messages_may_have_a_fixed_size(length: int | None) -> None:
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    kind = pa.list_(message) if length is None else pa.list_(message, length)
    chat = [{"role": "user", "content": "Long."}, {"role": "assistant", "content": "Short."}]
    table = pa.table({"messages": pa.array([chat, None], kind)})
    texts = ParquetTexts(to_file(table), ColumnChooser(Columns()), "a.parquet")
    assert list(texts.read(0)) == [("Long.", "Short."), (None, None)]


def test_a_guess_is_a_column_that_holds_text() -> None:
    table = pa.table({"text": [17], "document": ["t"], "summary": [["s"]], "abstract": ["a"]})
    assert list(ParquetTexts(to_file(table), ColumnChooser(Columns()), "a.parquet").read(0)) == [("t", "a")]
    with pytest.raises(DataError, match=r"column 'text' of a.parquet must hold text or messages"):
        ParquetTexts(to_file(table), ColumnChooser(Columns(text="text")), "a.parquet")
