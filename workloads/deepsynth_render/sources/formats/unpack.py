"""Decompressing a file while it is read, and what damaged bytes of a stream are reported as."""

import io
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_render.sources.formats.row import Row
from deepsynth_render.sources.formats.suffixes import Compression

_READ_BYTES: Final = 8 * 2**20
"""How much of a file is read at once: on the Hub, each read is a request."""
_UNPACKED_BYTES: Final = 2**20


def unpack(file: BinaryIO, compression: Compression | None) -> BinaryIO:
    """The content of `file` as a stream, which reads the file in large parts."""
    packed = cast("BinaryIO", _LargeReads(file))
    if compression is None:
        return packed
    if compression == "gzip":
        import gzip

        return cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=packed, mode="rb"), _UNPACKED_BYTES))
    if compression == "bz2":
        import bz2

        return cast("BinaryIO", io.BufferedReader(bz2.BZ2File(packed), _UNPACKED_BYTES))
    if compression == "xz":
        import lzma

        return cast("BinaryIO", io.BufferedReader(lzma.LZMAFile(packed), _UNPACKED_BYTES))
    return cast("BinaryIO", io.BufferedReader(_ZstdStream(packed), _UNPACKED_BYTES))


class _LargeReads(io.BufferedIOBase):
    """Reads a file in parts of _READ_BYTES, even if less is asked for. The file stays open.

    io.BufferedReader would pass on the small reads of a TextIOWrapper.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._part = b""
        self._position = 0
        self._is_over = False

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        if self._position == len(self._part) and not self._is_over:
            self._part, self._position = self._file.read(_READ_BYTES), 0
            self._is_over = not self._part
        end = len(self._part) if size < 0 else self._position + size
        content = self._part[self._position : end]
        self._position += len(content)
        return content

    def read(self, size: int | None = -1, /) -> bytes:
        parts = []
        left = sys.maxsize if size is None or size < 0 else size
        while left and (part := self.read1(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


class _ZstdStream(io.RawIOBase):
    """Any number of zstd frames, one after the other, as `zstd` and `cat` make them."""

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow as pa

        self._stream: Any = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def explain_packing(rows: Iterator[Row], where: str) -> Iterator[Row]:
    """`rows`, with errors of damaged compressed bytes as a DataError. Errors of the store pass through."""
    import lzma
    import zlib

    try:
        yield from rows
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise _damaged(where, error) from error
    except OSError as error:
        if error.errno is not None:  # from the disk or the network: those of decompressors have no number
            raise
        raise _damaged(where, error) from error


def _damaged(where: str, error: Exception) -> DataError:
    return DataError(
        f"{where} cannot be decompressed ({' '.join(str(error).split())[:200]}); replace it with an undamaged copy",
        reason=Reason.DAMAGED_FILE,
    )
