"""Reading rows of CSV and TSV files as a stream."""

import csv
from collections.abc import Iterator
from typing import BinaryIO, Final

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_render.sources.formats.columns import NO_SUMMARY, ColumnChooser, Pair, shorten
from deepsynth_render.sources.formats.json_stream import read_lines
from deepsynth_render.sources.formats.row import Row

MAX_FIELD_CHARACTERS: Final = 2**26
"""Upper limit for one field: behind a quote that is never closed, the rest of the file is one field. csv's own limit of
128 KiB is too small for a long document.
"""
DELIMITERS: Final = {"csv": ",", "tsv": "\t"}
_MARKS: Final = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}


def read_csv(file: BinaryIO, chooser: ColumnChooser, where: str, *, delimiter: str = ",") -> Iterator[Row]:
    """RFC 4180 with a header line, UTF-8. Raises DataError that names a line whose fields do not match the header."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    reader = csv.reader((line for _, line in read_lines(file, where)), strict=True, delimiter=delimiter)
    try:
        header = next(filter(None, reader), [])  # empty lines may come first
        text, summary = _choose(chooser, header, delimiter, where)
        text_place, summary_place = header.index(text), None if summary == NO_SUMMARY else header.index(summary)
        for fields in reader:
            if fields:
                _check_width(fields, header, delimiter, f"line {reader.line_num} of {where}")
                yield fields[text_place], "" if summary_place is None else fields[summary_place]
    except csv.Error as error:
        raise DataError(
            f"line {reader.line_num} of {where} is not CSV ({error})", reason=Reason.DAMAGED_FILE
        ) from error


def _choose(chooser: ColumnChooser, header: list[str], delimiter: str, where: str) -> Pair:
    """The columns. Raises DataError where other marks than the delimiter seem to separate them."""
    try:
        return chooser.choose(header, where)
    except ConfigurationError as error:
        marks = [mark for mark in _MARKS if mark != delimiter and len(header) == 1 and mark in header[0]]
        if not marks:
            raise
        raise DataError(
            f"{where} has one column {shorten(header[0])!r}, as if {_MARKS[marks[0]]} separated columns; write "
            f"{_MARKS[delimiter]} between them, or convert the file to JSON Lines",
            reason=Reason.DAMAGED_FILE,
        ) from error


def _check_width(fields: list[str], header: list[str], delimiter: str, place: str) -> None:
    if len(fields) != len(header):
        raise DataError(
            f"{place} has {len(fields)} fields, its header {len(header)}; quote fields that hold {_MARKS[delimiter]}",
            reason=Reason.DAMAGED_FILE,
        )
