"""The format and the compression of a file, by its name in upper or lower case.

articles.JSONL.gz   -> jsonl, gzip
data/train.parquet  -> parquet, not compressed
notes.txt           -> None
"""

from dataclasses import dataclass
from typing import Final, Literal

FormatName = Literal["parquet", "jsonl", "json", "csv", "tsv"]
Compression = Literal["gzip", "zstd", "bz2", "xz"]

FORMATS: Final[tuple[FormatName, ...]] = ("parquet", "jsonl", "csv", "tsv", "json")
"""Best first: a split that is stored in several formats is read in the first of them. JSON may also be metadata."""
SUPPORTED: Final = ".parquet, .jsonl, .csv, .tsv, .json or one of the last four with .gz, .zst, .bz2 or .xz"
_FORMATS: Final[dict[str, FormatName]] = {**{name: name for name in FORMATS}, "ndjson": "jsonl", "jsonlines": "jsonl"}
_COMPRESSIONS: Final[dict[str, Compression]] = {"gz": "gzip", "zst": "zstd", "bz2": "bz2", "xz": "xz"}
_METADATA: Final = frozenset(
    {"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "manifest.json"}
)
"""Written by libraries next to the data, and never data."""


@dataclass(frozen=True)
class FileFormat:
    """compression: None for a file that is not compressed."""

    name: FormatName
    compression: Compression | None = None


def find_format(path: str) -> FileFormat | None:
    """The format of a file that can be read, None for any other."""
    name = path.rpartition("/")[2].lower()
    if name in _METADATA:
        return None
    stem, _, suffix = name.rpartition(".")
    compression = _COMPRESSIONS.get(suffix)
    if compression:
        stem, _, suffix = stem.rpartition(".")
    known = _FORMATS.get(suffix) if stem else None
    if known is None or (compression and known == "parquet"):
        return None
    return FileFormat(known, compression)
