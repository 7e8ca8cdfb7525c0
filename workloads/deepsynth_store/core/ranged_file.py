"""A file on a server as a local one: random access by requests for ranges of bytes."""

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Fetch = Callable[[int, int], bytes | memoryview]
"""(start, length) -> exactly these bytes."""

_MAX_REQUEST_BYTES: Final = 32 * 2**20
_BUFFER_BYTES: Final = 64 * 2**10
_PART_BYTES: Final = 8 * 2**20
"""A request takes some ten milliseconds: as long as this many bytes do at 300 MB/s."""


def open_ranged(size: int, fetch: Fetch) -> BinaryIO:
    """A file of `size` bytes. A read larger than the small buffer is one call of `fetch`."""
    return cast("BinaryIO", io.BufferedReader(_RangedFile(size, fetch), _BUFFER_BYTES))


def read_parts(file: BinaryIO) -> Iterator[bytes]:
    """The rest of an open file, in parts that are worth a request each if it is on a server."""
    return iter(lambda: file.read(_PART_BYTES), b"")


class _RangedFile(io.RawIOBase):
    def __init__(self, size: int, fetch: Fetch) -> None:
        self._size = size
        self._fetch = fetch
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size - self._position, _MAX_REQUEST_BYTES)
        if wanted <= 0:
            return 0
        view[:wanted] = self._fetch(self._position, wanted)
        self._position += wanted
        return wanted
