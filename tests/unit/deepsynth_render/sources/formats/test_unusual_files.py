"""Files as other programs write them: read as they were meant, or refused with what to do."""

import bz2
import gzip
import io
import json
import lzma
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import ConfigurationError, DataError, WorkloadError
from deepsynth_api.v1alpha1 import Columns
from deepsynth_render.sources.formats import read_rows
from deepsynth_render.sources.formats.columns import ColumnChooser
from deepsynth_render.sources.formats.parquet import ParquetTexts
from deepsynth_render.sources.formats.row import Row
from deepsynth_render.sources.formats.suffixes import FormatName

ROW = {"text": "A text.", "summary": "A summary."}
LINE = json.dumps(ROW)


def read(name: FormatName, content: str | bytes, **columns: str) -> list[Row]:
    data = content.encode() if isinstance(content, str) else content
    return list(read_rows(io.BytesIO(data), name, ColumnChooser(Columns(**columns)), f"a.{name}"))


@pytest.mark.parametrize(
    "inner",
    [
        {"authors": [{"name": "A. Author"}]},
        {"authors": [{"name": "A. Author"}], "tags": [{"tag": "x"}]},
        {"sections": [{"heading": "One", "text": "Only one of the two columns."}]},
    ],
)
def test_a_document_with_lists_of_objects_is_one_row(inner: dict[str, Any]) -> None:
    assert read("json", json.dumps({**ROW, **inner})) == [("A text.", "A summary.")]


def test_the_columns_that_the_user_names_say_what_a_row_is() -> None:
    content = json.dumps({"body": "A text.", "gist": "A summary.", "parts": [{**ROW, "text": "inner"}]})
    assert read("json", content, text="body", summary="gist") == [("A text.", "A summary.")]
    assert read("json", content) == [("inner", "A summary.")]


def test_a_document_that_may_also_hold_rows_is_refused() -> None:
    with pytest.raises(DataError, match=r"a\.json may be one row, or hold rows in 'parts'; write one array of objects"):
        read("json", json.dumps({**ROW, "parts": [ROW]}))


def test_rows_in_an_object_that_describes_them_are_read() -> None:
    content = json.dumps({"title": "A dataset", "version": 1, "data": [ROW, ROW]})
    assert read("json", content) == [("A text.", "A summary.")] * 2


@pytest.mark.parametrize("name", ["jsonl", "json"])
def test_the_nan_of_pandas_is_a_missing_value(name: FormatName) -> None:
    assert read(name, '{"text": "A text.", "summary": NaN, "score": Infinity}') == [("A text.", None)]


@pytest.mark.parametrize("name", ["jsonl", "json"])
def test_a_key_with_two_values_is_refused_only_if_it_is_read(name: FormatName) -> None:
    with pytest.raises(DataError, match=r"(line|object) 2 of a\.\w+ has the key 'text' twice; keep one of its values"):
        read(name, f'{LINE}\n{{"text": "one", "text": "two", "summary": "s"}}')
    other = '{"text": "A text.", "id": 1, "id": 2, "summary": "A summary.", "more": {"text": 1, "text": 2}}'
    assert read(name, other) == [("A text.", "A summary.")]


@pytest.mark.parametrize(
    "content", ['{"text": ["a", "b"], "summary": ["c", "d"]}', '{"text": {"0": "a"}, "summary": {}}']
)
def test_a_file_of_columns_is_refused_with_the_way_to_write_rows(content: str) -> None:
    with pytest.raises(DataError, match=r"'text' in object 1 of a\.json must be text .* or write one object per row"):
        read("json", content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("jsonl", f'{LINE}\n{{"Text": "b", "summary": "s"}}'),
        ("csv", "text,TEXT,summary\na,b,c\n"),
        ("csv", "text,text ,summary\na,b,c\n"),
    ],
)
def test_names_that_differ_only_in_case_or_blanks_are_not_guessed(name: FormatName, content: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"columns\.text: .*differ only in case or blanks, 'text', '.*name one"
    ):
        read(name, content)
    assert read(name, content, text="text")


def test_blanks_around_the_names_of_a_header_do_not_hide_them() -> None:
    assert read("csv", " Text , Summary\nA text.,A summary.\n") == [("A text.", "A summary.")]


@pytest.mark.parametrize(
    ("name", "mark", "found", "wanted"),
    [
        ("csv", ";", "semicolons", "commas"),
        ("csv", "\t", "tabs", "commas"),
        ("csv", "|", "bars", "commas"),
        ("tsv", ",", "commas", "tabs"),
    ],
)
def test_another_separator_is_named(name: FormatName, mark: str, found: str, wanted: str) -> None:
    with pytest.raises(DataError, match=f"has one column .*, as if {found} separated columns; write {wanted} between"):
        read(name, f"text{mark}summary\na{mark}b\n")


def test_the_mark_that_a_field_must_not_hold_is_that_of_the_format() -> None:
    with pytest.raises(DataError, match=r"line 2 of a\.tsv has 3 fields, its header 2; quote fields that hold tabs"):
        read("tsv", "text\tsummary\na\tb\tc\n")


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (gzip.compress(LINE.encode()), "compressed by gzip: decompress it, or let its name end in .gz"),
        (bz2.compress(LINE.encode()), "compressed by bzip2"),
        (lzma.compress(LINE.encode()), "compressed by xz"),
        (b"\x28\xb5\x2f\xfd\x04\x00\xff", "compressed by zstd"),
        (b"PAR1\x15\x04\xff\xff", "it is parquet: let its name end in .parquet"),
        (b"PK\x03\x04\xff\xff", "a zip archive or a spreadsheet"),
        (LINE.encode("utf-16"), "it is UTF-16: convert it to UTF-8"),
        (b'{"text": "\xe9t\xe9"}', "convert it to UTF-8"),
    ],
)
@pytest.mark.parametrize("name", ["jsonl", "json", "csv"])
def test_bytes_of_another_kind_are_named_with_the_remedy(name: FormatName, content: bytes, remedy: str) -> None:
    with pytest.raises(DataError) as caught:
        read(name, content)
    assert remedy in caught.value.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("json", json.dumps({f"identifier-{number}": ROW for number in range(5000)})),
        ("csv", "A document, where the header is missing. " * 5000 + ",b\nc,d\n"),
    ],
)
def test_a_message_about_columns_stays_short(name: FormatName, content: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        read(name, content)
    assert "name one of its columns" in caught.value.message
    assert len(caught.value.message) < 1500


USER = {"role": "user", "content": "A text."}
ASSISTANT = {"role": "assistant", "content": "A summary."}


@pytest.mark.parametrize(
    ("user", "assistant"),
    [
        ([{"type": "input_text", "text": "A text."}], [{"type": "output_text", "text": "A summary."}]),
        (["A text."], ["A summary."]),
    ],
)
def test_the_parts_of_a_message_may_be_written_in_any_way(user: Any, assistant: Any) -> None:
    chat = [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    assert read("jsonl", json.dumps({"messages": chat})) == [("A text.", "A summary.")]


def test_a_summary_may_be_messages_of_its_own() -> None:
    content = json.dumps({"prompt": [USER], "completion": [ASSISTANT]})
    assert read("jsonl", content, text="prompt", summary="completion") == [("A text.", "A summary.")]
    table = pa.table({"prompt": [[USER]], "completion": [[ASSISTANT]]})
    columns = Columns(text="prompt", summary="completion")
    texts = ParquetTexts(write(table), ColumnChooser(columns), "a.parquet")
    assert list(texts.read(0)) == [("A text.", "A summary.")]


def write(table: Any) -> BinaryIO:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    sink.seek(0)
    return sink


def test_an_encrypted_parquet_file_is_named_as_such() -> None:
    # The magic bytes of a file whose footer is encrypted.
    content = write(pa.table({"text": ["a"], "summary": ["b"]})).read()
    with pytest.raises(DataError, match="write it without encryption"):
        ParquetTexts(io.BytesIO(b"PARE" + content[4:-4] + b"PARE"), ColumnChooser(Columns()), "a.parquet")
