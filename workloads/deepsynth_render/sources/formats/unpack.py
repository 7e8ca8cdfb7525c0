"""Decompressing a file while it is read, and what damaged bytes of a stream are reported as."""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_render.sources.formats.row import Row
from deepsynth_render.sources.formats.suffixes import Compression

_READ_BYTES: Final = 2**20


def unpack(file: BinaryIO, compression: Compression | None) -> BinaryIO:
    """The content of `file` as a stream; the file itself if it is not compressed."""
    if compression is None:
        return file
    if compression == "gzip":
        import gzip

        return cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=file, mode="rb"), _READ_BYTES))
    if compression == "bz2":
        import bz2

        return cast("BinaryIO", io.BufferedReader(bz2.BZ2File(file), _READ_BYTES))
    return cast("BinaryIO", io.BufferedReader(_ZstdStream(file), _READ_BYTES))


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
    import zlib

    try:
        yield from rows
    except (EOFError, zlib.error) as error:
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
