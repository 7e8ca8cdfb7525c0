import io
import json
from collections.abc import Iterator

import pytest

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.v1alpha1 import Columns
from deepsynth_render.sources.formats import csv_table, read_rows
from deepsynth_render.sources.formats.columns import ColumnChooser
from deepsynth_render.sources.formats.json_stream import Record
from deepsynth_render.sources.formats.records import read_records
from deepsynth_render.sources.formats.row import Row
from deepsynth_render.sources.formats.suffixes import FormatName


def read(name: FormatName, text: str | bytes, columns: Columns | None = None) -> list[Row]:
    content = text.encode() if isinstance(text, str) else text
    return list(read_rows(io.BytesIO(content), name, ColumnChooser(columns or Columns()), f"data.{name}"))


def read_lines(text: str | bytes) -> list[Row]:
    return read("jsonl", text)


def read_table(text: str | bytes) -> list[Row]:
    return read("csv", text)


def test_blank_lines_do_not_shift_texts_against_summaries() -> None:
    lines = ["", *(json.dumps({"text": f"t{i}", "summary": f"s{i}"}) + "\n\n" for i in range(5))]
    assert read_lines("\n".join(lines)) == [(f"t{i}", f"s{i}") for i in range(5)]
    table = "\n\ntext,summary\n\n" + "".join(f"t{i},s{i}\n\n" for i in range(5))
    assert read_table(table) == [(f"t{i}", f"s{i}") for i in range(5)]


def test_a_missing_or_null_value_is_none() -> None:
    assert read_lines('{"text": "t", "summary": null}\n{"summary": "s"}') == [("t", None), (None, "s")]


def test_line_ends_quotes_and_separators_inside_a_csv_field_are_text() -> None:
    assert read_table('text,summary\r\n"a\r\nb, ""c""",s\r\n') == [('a\r\nb, "c"', "s")]


def test_a_csv_field_may_be_a_megabyte() -> None:
    assert read_table(f"text,summary\n{'x' * 1_000_000},s\n") == [("x" * 1_000_000, "s")]


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "MAX_FIELD_CHARACTERS", 1000)
    with pytest.raises(DataError, match=r"line 252 of data\.csv is not CSV \(field larger than field limit \(1000\)\)"):
        read_table('text,summary\n"' + "t,s\n" * 1000)


def test_a_byte_order_mark_does_not_belong_to_the_first_column() -> None:
    assert read_table(b"\xef\xbb\xbftext,summary\nt,s\n") == [("t", "s")]


def test_a_key_that_the_first_object_lacks_is_a_column() -> None:
    lines = [{"text": "a", "title": "A"}, {"text": "b", "title": "B", "summary": "sum"}]
    assert read_lines("\n".join(map(json.dumps, lines))) == [("a", None), ("b", "sum")]


def test_a_column_that_appears_too_late_is_refused_and_not_missed() -> None:
    lines = [json.dumps({"text": "a", "title": "A"})] * 1500
    late = json.dumps({"text": "a", "title": "A", "summary": "s"})
    assert read_lines("\n".join([*lines[:900], late]))[-1] == ("a", "s")
    with pytest.raises(ConfigurationError, match=r"columns.summary: line 1501 of data.jsonl has the column 'summary'"):
        read_lines("\n".join([*lines, late]))
    other = json.dumps({"text": "a", "title": "A", "id": "7"})
    assert read_lines("\n".join([*lines, other]))[-1] == ("a", "A")


def test_rows_before_a_damaged_line_are_read() -> None:
    content = io.BytesIO(b'{"text": "t", "summary": "s"}\n{')
    rows = read_rows(content, "jsonl", ColumnChooser(Columns()), "data.jsonl")
    assert next(rows) == ("t", "s")
    with pytest.raises(DataError, match=r"line 2 of data.jsonl is not JSON"):
        next(rows)


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_jsonl_file_has_no_rows(text: str) -> None:
    assert read_lines(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"text": "t", "summary": "s"}\n{"text"', ["line 2 of data.jsonl", "not JSON"]),
        ("[" * 100_000, ["line 1 of data.jsonl", "not JSON"]),
        ('{"text": ' + "9" * 5000 + "}", ["line 1 of data.jsonl", "not JSON"]),
        ("[1, 2]", ["line 1 of data.jsonl", "not a JSON object"]),
        ('{"text": 5, "summary": "s"}', ["'text'", "line 1", "int", "source.columns"]),
        (b'{"text": "\xff"}', ["data.jsonl", "not UTF-8"]),
    ],
)
def test_a_damaged_jsonl_line_is_named(text: str | bytes, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read_lines(text)
    assert all(word in caught.value.message for word in words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("text,summary\nt,s,x\n", ["line 2 of data.csv", "3 fields", "header 2"]),
        ('text,summary\n"t"x,s\n', ["line 2 of data.csv", "not CSV"]),
        (b"text,summary\nt,\xe9\n", ["data.csv", "not UTF-8"]),
    ],
)
def test_a_damaged_csv_line_is_named(text: str | bytes, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read_table(text)
    assert all(word in caught.value.message for word in words)


def test_an_empty_csv_file_has_no_columns() -> None:
    with pytest.raises(ConfigurationError, match=r"it has no columns"):
        read_table("")


CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "A long report."},
    {"role": "assistant", "content": "In short."},
]


@pytest.mark.parametrize("name", ["jsonl", "json"])
def test_a_column_of_messages_gives_text_and_summary(name: FormatName) -> None:
    rows = [{"messages": None}, {"messages": CHAT}]
    text = json.dumps(rows) if name == "json" else "\n".join(map(json.dumps, rows))
    assert read(name, text) == [(None, None), ("A long report.", "In short.")]


def test_with_a_summary_column_the_text_is_the_whole_chat() -> None:
    line = json.dumps({"talk": CHAT, "gist": "Its gist."})
    expected = [("user: A long report.\n\nassistant: In short.", "Its gist.")]
    assert read("jsonl", line, Columns(text="talk", summary="gist")) == expected


def test_a_column_of_text_is_preferred_to_one_of_messages() -> None:
    assert read_lines(json.dumps({"messages": CHAT, "text": "t", "summary": "s"})) == [("t", "s")]


@pytest.mark.parametrize("value", [["a", "b"], [{"role": "user"}], [[]], [{"text": "x"}]])
def test_a_list_that_does_not_hold_messages_is_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"'messages' in line 2 of data.jsonl must be text or a list of messages"):
        read_lines("\n".join(map(json.dumps, [{"messages": CHAT}, {"messages": value}])))


def test_the_sample_of_large_rows_is_small() -> None:
    """Else a thousand documents of a megabyte would be in memory at once."""
    taken = 0

    def produce() -> Iterator[Record]:
        nonlocal taken
        for taken in range(1, 1001):
            yield Record(f"line {taken}", 2**23, {"text": "t", "summary": "s"})

    next(read_records(produce(), ColumnChooser(Columns()), "data.jsonl"))
    assert taken == 2
