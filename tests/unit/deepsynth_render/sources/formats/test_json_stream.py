import io
import json
import tracemalloc
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_api.errors import DataError
from deepsynth_render.sources.formats import json_stream
from deepsynth_render.sources.formats.json_stream import read_json, read_json_lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, min_size=2, max_size=4), min_size=2, max_size=6)


def read(text: str | bytes) -> list[dict[str, Any]]:
    content = text.encode() if isinstance(text, str) else text
    return [record.content for record in read_json(io.BytesIO(content), "data.json")]


class SlowFile(io.BytesIO):
    """Gives `step` bytes at a time, so that a value is cut at every place."""

    step = 1

    def read(self, _: int | None = -1) -> bytes:
        return super().read(self.step)


@settings(max_examples=60, deadline=None)
@given(OBJECTS, st.sampled_from([None, 2]), st.booleans(), st.integers(1, 7), st.booleans())
def test_objects_are_read_whole_wherever_a_read_ends(
    objects: list[Any], indent: int | None, is_array: bool, step: int, is_ascii: bool
) -> None:
    texts = [json.dumps(value, indent=indent, ensure_ascii=is_ascii) for value in objects]
    text = f" [{' , '.join(texts)} ]\n" if is_array else "\n".join(texts)
    file = SlowFile(text.encode(errors="surrogatepass") if is_ascii else text.encode())
    file.step = step
    assert [record.content for record in read_json(file, "data.json")] == json.loads(f"[{','.join(texts)}]")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", []),
        ("[]", []),
        (" [ ] ", []),
        ("\ufeff[{}]", [{}]),
        ('{"a": 1}', [{"a": 1}]),
        ('{"version": "1", "data": [{"a": 1}, {"a": 2}]}', [{"a": 1}, {"a": 2}]),
        ('{"a": 1}{"a": 2}', [{"a": 1}, {"a": 2}]),
        ('{"messages": [{"role": "user", "content": "x"}]}', [{"messages": [{"role": "user", "content": "x"}]}]),
    ],
)
def test_arrays_sequences_and_lists_in_an_object_hold_rows(text: str, rows: list[Any]) -> None:
    assert read(text) == rows


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1}, {"a"', "not JSON"),
        ('[{"a": 1}', "expected a comma or the end of the array"),
        ('[{"a": 1}] {"a": 2}', "expected nothing after the array"),
        ('[{"a": 1} {"a": 2}]', "expected a comma"),
        ('[{"a": 1},]', "not JSON"),
        ("[1]", "value 1 of data.json must be a JSON object, got a number"),
        ("[[1, 2], [3, 4]]", "value 1 of data.json must be a JSON object, got an array"),
        ('{"train": [{}], "test": [{}]}', r"several lists of objects \(train, test\)"),
        ("[" * 100_000, "not JSON"),
        ('[{"a": ' + "9" * 5000 + "}]", "not JSON"),
        (b'[{"a": "\xff"}]', "not UTF-8"),
        (b'[{"a": "x"}\xe9', "not UTF-8"),
    ],
)
def test_damaged_json_is_named(text: str | bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(text)


def test_rows_before_the_damage_are_read() -> None:
    records = read_json(io.BytesIO(b'[{"a": 1}, {"a": }]'), "data.json")
    assert next(records).content == {"a": 1}
    with pytest.raises(DataError, match=r"data.json is not JSON \(Expecting value at character 17\)"):
        next(records)


def test_an_error_at_the_beginning_does_not_read_the_whole_file() -> None:
    file = io.BytesIO(b"[{]" + b" " * 50_000_000)
    with pytest.raises(DataError, match="not JSON"):
        list(read_json(file, "data.json"))
    assert file.tell() < 3_000_000


@pytest.mark.parametrize("read_records", [read_json, read_json_lines])
def test_a_value_without_an_end_is_refused_before_it_fills_the_memory(
    read_records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "MAX_CHARACTERS", 2**21)

    class Endless(io.RawIOBase):
        sent = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            buffer[:] = b"x" * len(buffer) if self.sent else b'{"a": "'.ljust(len(buffer))
            self.sent += len(buffer)
            return len(buffer)

    file = Endless()
    with pytest.raises(DataError, match=f"more than {2**21} characters"):
        list(read_records(_as_binary(io.BufferedReader(file)), "data.json"))
    assert file.sent < 10_000_000


@pytest.mark.parametrize("read_records", [read_json, read_json_lines])
def test_a_value_of_too_many_small_arrays_is_refused_before_it_fills_the_memory(
    read_records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "MAX_CONTAINERS", 1000)
    usual, large = (b'{"a": [' + b"[]," * count + b'1], "b": "]["}\n' for count in (900, 1000))
    assert len(list(read_records(io.BytesIO(usual), "data.json"))) == 1
    with pytest.raises(DataError, match="more than 1000 arrays and objects"):
        list(read_records(io.BytesIO(large), "data.json"))


def test_an_array_of_any_length_takes_little_memory() -> None:
    class Endless(io.RawIOBase):
        sent = 0

        def read(self, size: int = -1) -> bytes:
            self.sent += 1
            return b"[" if self.sent == 1 else b'{"text": "%s"},' % (b"x" * 5000) * 200

    records = read_json(_as_binary(Endless()), "data.json")
    tracemalloc.start()
    for _ in range(20_000):  # 100 MB
        next(records)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def _as_binary(file: Any) -> BinaryIO:
    binary: BinaryIO = file
    return binary
