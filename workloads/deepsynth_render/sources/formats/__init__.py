"""Reading rows of one file: parquet by row groups, everything else as a stream in bounded memory.

    json_stream.py  JSON Lines, JSON arrays -> numbered objects     records.py  objects -> rows
    csv_table.py    CSV, TSV -> rows                                parquet.py  row groups -> rows
    unpack.py       gzip, zstd, bzip2 and xz around any of them but parquet; signatures.py for files named otherwise
    suffixes.py     which of these a file is, by its name
    columns.py      which columns are text and summary; messages.py for columns of chats

Which files are read for which split is decided in `sources`.
"""

from collections.abc import Iterator
from typing import BinaryIO

from deepsynth_render.sources.formats.columns import ColumnChooser
from deepsynth_render.sources.formats.csv_table import DELIMITERS, read_csv
from deepsynth_render.sources.formats.json_stream import read_json, read_json_lines
from deepsynth_render.sources.formats.records import read_records
from deepsynth_render.sources.formats.row import Row
from deepsynth_render.sources.formats.suffixes import FormatName


def read_rows(file: BinaryIO, name: FormatName, chooser: ColumnChooser, where: str) -> Iterator[Row]:
    """The rows of a file that is not parquet."""
    if name in DELIMITERS:
        return read_csv(file, chooser, where, delimiter=DELIMITERS[name])
    records = read_json(file, where, chooser.is_row) if name == "json" else read_json_lines(file, where)
    return read_records(records, chooser, where)
