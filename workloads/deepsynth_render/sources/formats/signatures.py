"""What bytes that are not UTF-8 may be instead, by how they begin."""

from typing import Final

_SIGNATURES: Final = (
    (b"\x1f\x8b", "it is compressed by gzip: decompress it, or let its name end in .gz"),
    (b"\x28\xb5\x2f\xfd", "it is compressed by zstd: decompress it, or let its name end in .zst"),
    (b"BZh", "it is compressed by bzip2: decompress it, or let its name end in .bz2"),
    (b"\xfd7zXZ", "it is compressed by xz: decompress it, or let its name end in .xz"),
    (b"PK\x03\x04", "it is a zip archive or a spreadsheet: unpack it, or export it as CSV"),
    (b"PAR1", "it is parquet: let its name end in .parquet"),
    (b"\xff\xfe", "it is UTF-16: convert it to UTF-8"),
    (b"\xfe\xff", "it is UTF-16: convert it to UTF-8"),
)


def explain_bytes(start: bytes) -> str:
    """What to do about a file that begins with `start`."""
    return next((remedy for mark, remedy in _SIGNATURES if start.startswith(mark)), "convert it to UTF-8")
