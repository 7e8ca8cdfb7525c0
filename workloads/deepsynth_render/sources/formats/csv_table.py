"""Reading rows of CSV and TSV files as a stream."""

import csv
from collections.abc import Iterator
from typing import BinaryIO, Final

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_render.sources.formats.columns import NO_SUMMARY, ColumnChooser
from deepsynth_render.sources.formats.json_stream import read_lines
from deepsynth_render.sources.formats.row import Row

MAX_FIELD_CHARACTERS: Final = 2**26
"""Upper limit for one field: behind a quote that is never closed, the rest of the file is one field. csv's own limit of
128 KiB is too small for a long document.
"""
DELIMITERS: Final = {"csv": ",", "tsv": "\t"}


def read_csv(file: BinaryIO, chooser: ColumnChooser, where: str, *, delimiter: str = ",") -> Iterator[Row]:
    """RFC 4180 with a header line, UTF-8. Raises DataError that names a line whose fields do not match the header."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    reader = csv.reader((line for _, line in read_lines(file, where)), strict=True, delimiter=delimiter)
    try:
        header = next(filter(None, reader), [])  # empty lines may come first
        text, summary = chooser.choose(header, where)
        text_place, summary_place = header.index(text), None if summary == NO_SUMMARY else header.index(summary)
        for fields in reader:
            if fields:
                _check_width(fields, header, reader.line_num, where)
                yield fields[text_place], "" if summary_place is None else fields[summary_place]
    except csv.Error as error:
        raise DataError(
            f"line {reader.line_num} of {where} is not CSV ({error})", reason=Reason.DAMAGED_FILE
        ) from error


def _check_width(fields: list[str], header: list[str], number: int, where: str) -> None:
    if len(fields) != len(header):
        raise DataError(
            f"line {number} of {where} has {len(fields)} fields, its header {len(header)}; "
            "quote fields that hold commas",
            reason=Reason.DAMAGED_FILE,
        )
