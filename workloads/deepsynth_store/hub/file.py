"""The bytes of one file of a repository: any part by range requests, or all of it by one request that is resumed."""

import contextlib
import re
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

from huggingface_hub import get_session, hf_hub_url
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import hf_raise_for_status

from deepsynth_api.errors import DataError
from deepsynth_store.core.calls import OddAnswerError
from deepsynth_store.core.interface import StoredFile
from deepsynth_store.core.ranged_file import open_ranged
from deepsynth_store.hub.calls import HubCalls

_CHUNK_BYTES = 2**20


def open_hub_file(calls: HubCalls, revision: str, file: StoredFile) -> BinaryIO:
    """Random access: a read larger than the small buffer is one range request."""
    url = _build_url(calls, revision, file)

    def fetch(start: int, length: int) -> bytes:
        return calls.call(f"read {file.path} of", lambda: _fetch(url, file.size, start, length))

    return open_ranged(file.size, fetch)


class HubStream:
    """Iterates over a file's content in chunks of at most 1 MiB. When the connection breaks, it is resumed there."""

    def __init__(self, calls: HubCalls, revision: str, file: StoredFile) -> None:
        self._calls = calls
        self._file = file
        self._url = _build_url(calls, revision, file)
        self._position = 0
        self._chunks: Iterator[bytes] | None = None
        self._connection = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def __iter__(self) -> Iterator[bytes]:
        while self._position < self._file.size:
            chunk = self._calls.call(f"read {self._file.path} of", self._receive)
            self._position += len(chunk)
            yield chunk

    def _receive(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._connect()
        chunks, self._chunks = self._chunks, None  # after an error the next try connects again
        if not (chunk := next(chunks, b"")):
            raise OddAnswerError(f"it ends at {self._position:,} of {self._file.size:,} bytes")
        self._chunks = chunks
        return chunk

    def _connect(self) -> Iterator[bytes]:
        self._connection.close()
        headers = _build_headers(f"bytes={self._position}-")
        response = self._connection.enter_context(get_session().stream("GET", self._url, headers=headers))
        hf_raise_for_status(response)
        if response.status_code != 206 and self._position:
            raise DataError(f"{self._url} cannot be resumed: the server does not support range requests")
        _check_part(response, self._position, self._file.size)
        chunks: Iterator[bytes] = response.iter_bytes(_CHUNK_BYTES)
        return chunks


def _fetch(url: str, size: int, start: int, length: int) -> bytes:
    response = get_session().get(url, headers=_build_headers(f"bytes={start}-{start + length - 1}"))
    hf_raise_for_status(response)
    content: bytes = response.content
    _check_part(response, start, size)
    if response.status_code != 206:
        content = content[start : start + length]
    if len(content) != length:
        raise OddAnswerError(f"expected {length:,} bytes at {start:,}, got {len(content):,}")
    return content


def _check_part(response: Any, start: int, size: int) -> None:
    """Refuse another part than the one that was asked for, such as one that a cache on the way has mixed up, and a
    whole file of another size, such as a proxy's page.
    """
    if response.status_code == 206:
        found = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""), re.ASCII)
        if found and int(found[1]) != start:
            raise OddAnswerError(f"asked for the bytes at {start:,}, got those at {int(found[1]):,}")
    elif response.headers.get("content-length", str(size)) != str(size):
        raise OddAnswerError(f"expected {size:,} bytes, got {response.headers['content-length']}")


def _build_url(calls: HubCalls, revision: str, file: StoredFile) -> str:
    return hf_hub_url(**calls.repo, filename=file.path, revision=revision, endpoint=calls.api.endpoint)


def _build_headers(span: str) -> dict[str, str]:
    """Without compression: a range of a compressed answer would not be a range of the file."""
    return {**build_hf_headers(), "Range": span, "Accept-Encoding": "identity"}
