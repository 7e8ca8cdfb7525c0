"""The objects of a JSON Lines or JSON file, one at a time.

Only the object that is read is in memory, so a file may be of any size. Python's own decoder reads from a buffer that
grows with a long object; a parser that reports every token would take several times as long.
"""

import codecs
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import NoneType
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_render.sources.formats.messages import is_chat
from deepsynth_render.sources.formats.signatures import explain_bytes

MAX_CHARACTERS: Final = 2**28
"""Upper limit for one line or one value: a file without line ends or with one huge object must not fill the memory."""
MAX_CONTAINERS: Final = 2**22
"""Upper limit for the arrays and objects in one line or value: as Python objects they take 20 times their length."""
_CHUNK_BYTES: Final = 2**20
_MAX_CUT: Final = 12
"""A literal, number or escape that the end of the buffer has cut is an error this close to the end."""
_BLANK: Final = re.compile("[ \t\r\n]+")


class Repeating(dict[str, Any]):
    """An object that names keys twice, and has the last of their values. repeated: these keys."""

    repeated: frozenset[str] = frozenset()


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) == len(pairs):
        return content
    keys = [key for key, _ in pairs]
    repeating = Repeating(content)
    repeating.repeated = frozenset(key for key in content if keys.count(key) > 1)
    return repeating


def _read_constant(name: str) -> float | None:
    """NaN is how pandas writes a missing value."""
    return None if name == "NaN" else float(name)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_build_object, parse_constant=_read_constant)


class Record(NamedTuple):
    """place: where it is in the file, such as "line 7". size: in characters."""

    place: str
    size: int
    content: dict[str, Any]


def read_lines(file: BinaryIO, where: str) -> Iterator[tuple[int, str]]:
    """(number, line) with the line ends as they are: inside quotes of CSV they belong to the text."""
    number = 0
    try:
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
            while line := lines.readline(MAX_CHARACTERS):
                number += 1
                if len(line) == MAX_CHARACTERS:
                    _fail(f"line {number} of {where} has more than {MAX_CHARACTERS} characters; write one row per line")
                yield number, line
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where} is not UTF-8 ({error.reason} after line {number}); {explain_bytes(error.object)}",
            reason=Reason.DAMAGED_FILE,
        ) from error


def read_json_lines(file: BinaryIO, where: str) -> Iterator[Record]:
    """One object per line; empty lines are skipped. Raises DataError that names a line that is none."""
    for number, line in read_lines(file, where):
        if line.strip():
            yield Record(f"line {number}", len(line), _parse_line(line, f"line {number} of {where}"))


def read_json(
    file: BinaryIO, where: str, is_row: Callable[[Mapping[str, Any]], bool] = lambda _: False
) -> Iterator[Record]:
    """The objects of an array, of a sequence of objects, or of the one list of objects in a single object.

    [{...}, {...}]      {...} {...}      {"version": 1, "data": [{...}, {...}]}

    is_row: whether an object has the columns of a row. A single one that has them is a row itself.
    """
    text = _Buffer(file, where)
    if text.peek() == "[":
        text.skip()
        yield from _number(_read_array(text), where)
    else:
        yield from _number(_read_sequence(text, where, is_row), where)


_NAMES: Final[Mapping[type, str]] = {list: "an array", str: "a string", bool: "a boolean", NoneType: "null"}
"""Of JSON values that are no objects."""


def _number(values: Iterator[tuple[Any, int]], where: str) -> Iterator[Record]:
    for number, (value, size) in enumerate(values, start=1):
        if not isinstance(value, dict):
            found = _NAMES.get(type(value), "a number")
            _fail(
                f"value {number} of {where} must be a JSON object, got {found}; write one object per row, in one array"
            )
        yield Record(f"object {number}", size, value)


def _read_array(text: "_Buffer") -> Iterator[tuple[Any, int]]:
    if text.peek() == "]":
        text.skip()
    else:
        while True:
            yield text.read_value()
            mark = text.peek()
            if mark not in {",", "]"}:
                text.fail("expected a comma or the end of the array")
            text.skip()
            if mark == "]":
                break
    if text.peek():
        text.fail("expected nothing after the array")


def _read_sequence(
    text: "_Buffer", where: str, is_row: Callable[[Mapping[str, Any]], bool]
) -> Iterator[tuple[Any, int]]:
    if not text.peek():
        return
    first, size = text.read_value()
    if text.peek():
        yield first, size
        while text.peek():
            yield text.read_value()
    else:
        yield from ((row, size) for row in _find_rows(first, where, is_row))


def _find_rows(content: Any, where: str, is_row: Callable[[Mapping[str, Any]], bool]) -> list[Any]:
    """The rows of a file that is a single value: those of its only list of objects, or the value itself."""
    if not isinstance(content, dict):
        return [content]
    lists = {
        key: value
        for key, value in content.items()
        if isinstance(value, list) and value and isinstance(value[0], dict) and not is_chat(value)
    }
    if lists and is_row(content):
        inner = next((key for key, value in lists.items() if is_row(value[0])), None)
        if inner is None:
            return [content]
        _fail(f"{where} may be one row, or hold rows in {inner!r}; write one array of objects, an object per row")
    if len(lists) > 1:
        _fail(f"{where} holds several lists of objects ({', '.join(lists)}); write one array of objects per file")
    return next(iter(lists.values()), [content])


class _Buffer:
    """The text of a file from `position` on, as far as it is read."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file = file
        self._where = where
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text = ""
        self._position = 0
        self._passed = 0
        self._is_whole = False

    def peek(self) -> str:
        """The next character that is not blank, "" at the end of the file."""
        while True:
            if blank := _BLANK.match(self._text, self._position):
                self._position = blank.end()
            if self._position < len(self._text):
                return self._text[self._position]
            if self._is_whole:
                return ""
            self._read_more()

    def skip(self) -> None:
        self._position += 1

    def read_value(self) -> tuple[Any, int]:
        """The value that begins here, and its size in characters."""
        self.peek()
        while True:
            if _has_many_containers(self._text):
                self.fail(f"a value has more than {MAX_CONTAINERS} arrays and objects")
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if self._is_whole or not self._may_be_cut(error):
                    self.fail(error.msg, error.pos)
            except (ValueError, RecursionError) as error:
                self.fail(str(error)[:200])
            else:
                if end < len(self._text) or self._is_whole:
                    size, self._position = end - self._position, end
                    return value, size
            self._read_more()

    def fail(self, problem: str, position: int | None = None) -> NoReturn:
        place = self._passed + (self._position if position is None else position)
        _fail(f"{self._where} is not JSON ({problem} at character {place})")

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether more text may make sense of it: an error far from the end stays one."""
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _MAX_CUT

    def _read_more(self) -> None:
        """Read at least as much as there is, so that a value of any length is scanned a few times only."""
        rest = self._text[self._position :]
        if len(rest) > MAX_CHARACTERS:
            self.fail(f"a value has more than {MAX_CHARACTERS} characters")
        content = self._file.read(max(_CHUNK_BYTES, len(rest)))
        self._is_whole = not content
        try:
            self._text = rest + self._decode(content, final=self._is_whole)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self._where} is not UTF-8 ({error.reason} after character {self._passed + self._position}); "
                f"{explain_bytes(error.object)}",
                reason=Reason.DAMAGED_FILE,
            ) from error
        self._passed += self._position
        self._position = 0


def _has_many_containers(text: str) -> bool:
    """Whether a text may be one value with too many arrays and objects; brackets within its strings count too."""
    return len(text) > MAX_CONTAINERS and text.count("[") + text.count("{") > MAX_CONTAINERS


def _parse_line(line: str, where: str) -> dict[str, Any]:
    if _has_many_containers(line):
        _fail(f"{where} has more than {MAX_CONTAINERS} arrays and objects; write one row per line")
    try:
        content = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where} is not JSON ({error}); write one object per line", reason=Reason.DAMAGED_FILE
        ) from error
    if not isinstance(content, dict):
        _fail(f"{where} is not a JSON object; write one object per line")
    return content


def _fail(message: str) -> NoReturn:
    raise DataError(message, reason=Reason.DAMAGED_FILE)
