"""Reading rows of JSON Lines and CSV files as a stream."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import Any, BinaryIO, Final

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Columns
from deepsynth_render.sources.columns import choose_columns
from deepsynth_render.sources.interface import Row

_SAMPLE_LINES: Final = 1000
"""Lines whose keys decide which columns are read: a key may be missing where its value is."""


def read_jsonl(file: BinaryIO, columns: Columns, where: str) -> Iterator[Row]:
    """One object per line; empty lines are skipped. The columns are chosen by the keys of the first lines together.

    Raises DataError that names the line unless it is an object whose text and summary are strings or null, and
    ConfigurationError when a later line has a column that would have been chosen instead.
    """
    lines = _number_lines(file, where)
    first = list(islice(lines, _SAMPLE_LINES))
    names = _list_keys(first, where)
    chosen: tuple[str, str] | None = None
    for number, line in chain(first, lines):
        if line.strip():
            content = _parse_object(line, f"line {number} of {where}")
            if chosen is None or not content.keys() <= names.keys():
                names |= dict.fromkeys(content)
                found = choose_columns(list(names), columns, where)
                _require_same_columns(chosen or found, found, f"line {number} of {where}")
                chosen = found
            yield _get_text(content, chosen[0], number, where), _get_text(content, chosen[1], number, where)


def _list_keys(lines: Iterable[tuple[int, str]], where: str) -> dict[str, None]:
    """The keys of all objects, in the order in which they appear; up to a damaged line, which is reported later."""
    names: dict[str, None] = {}
    with suppress(DataError):
        for number, line in lines:
            if line.strip():
                names |= dict.fromkeys(_parse_object(line, f"line {number} of {where}"))
    return names


def _require_same_columns(chosen: tuple[str, str], better: tuple[str, str], where: str) -> None:
    for field, old, new in zip(("text", "summary"), chosen, better, strict=True):
        if old != new:
            raise ConfigurationError(
                f"spec.source.columns.{field}: {where} has the column {new!r}, which the lines before it lack, so "
                f"{old!r} was read as the {field}; name the column to read"
            )


def read_csv(file: BinaryIO, columns: Columns, where: str) -> Iterator[Row]:
    """RFC 4180 with a header line, UTF-8. Raises DataError that names a line whose fields do not match the header."""
    csv.field_size_limit(sys.maxsize)  # the default, 128 KiB, is too small for a long document
    reader = csv.reader((line for _, line in _number_lines(file, where)), strict=True)
    try:
        header = next(reader, [])
        text, summary = (header.index(name) for name in choose_columns(header, columns, where))
        for fields in reader:
            if fields:
                _check_width(fields, header, reader.line_num, where)
                yield fields[text], fields[summary]
    except csv.Error as error:
        raise DataError(
            f"line {reader.line_num} of {where} is not CSV ({error})", reason=Reason.DAMAGED_FILE
        ) from error


def _number_lines(file: BinaryIO, where: str) -> Iterator[tuple[int, str]]:
    """(number, line) with the line ends as they are: inside quotes they belong to the text."""
    number = 0
    try:
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
            for number, line in enumerate(lines, start=1):
                yield number, line
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where} is not UTF-8 ({error.reason} after line {number}); convert it to UTF-8",
            reason=Reason.DAMAGED_FILE,
        ) from error


def _parse_object(line: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where} is not JSON ({error}); write one object per line", reason=Reason.DAMAGED_FILE
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{where} is not a JSON object; write one object per line", reason=Reason.DAMAGED_FILE)
    return content


def _get_text(content: dict[str, Any], name: str, number: int, where: str) -> str | None:
    value = content.get(name)
    if value is not None and not isinstance(value, str):
        raise DataError(
            f"{name!r} in line {number} of {where} must be text, got {type(value).__name__}; "
            "name another column in spec.source.columns",
            reason=Reason.WRONG_COLUMN_TYPE,
        )
    return value


def _check_width(fields: list[str], header: list[str], number: int, where: str) -> None:
    if len(fields) != len(header):
        raise DataError(
            f"line {number} of {where} has {len(fields)} fields, its header {len(header)}; "
            "quote fields that hold commas",
            reason=Reason.DAMAGED_FILE,
        )
