"""Tensors in an object store: uploaded from memory in parts, and read again by ranges, each part verified by its hash.

shards/parts.json   {"partBytes": 16777216, "files": {"rank-0.safetensors": ["9f86...", ...], ...}}
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from deepsynth_store.objects.client import PART_BYTES
from deepsynth_store.objects.requests import ObjectCalls, StoredObject
from deepsynth_train.checkpoint.manifest import FileDigest
from deepsynth_train.checkpoint.state.parts import Part
from deepsynth_train.checkpoint.state.tensor_files import (
    Block,
    Damage,
    Span,
    Stored,
    check_block,
    encode_tensors,
    parse_index,
    read_header,
)

PARTS_FILE: Final = "parts.json"
_PARTS_AHEAD: Final = 4
"""Parts that a process fetches at once and keeps in memory."""


@dataclass(frozen=True)
class UploadedFile:
    """parts: sha256 of each PART_BYTES, the last of which can be shorter."""

    digest: FileDigest
    parts: tuple[str, ...]


def upload_tensors(
    calls: ObjectCalls, folder: str, path: str, parts: Sequence[Part], beat: Callable[[], None]
) -> UploadedFile:
    """Write a safetensors file to FOLDER/PATH from memory, of which it takes a few parts of 16 MiB more.

    beat: called after each part.
    """
    whole, hashes, size = hashlib.sha256(), list[str](), 0

    def read() -> Iterator[bytearray]:
        """Also called again, when an upload has failed."""
        nonlocal whole, hashes, size
        whole, hashes, size = hashlib.sha256(), [], 0
        for piece in cut(encode_tensors(parts), PART_BYTES):
            whole.update(piece)
            hashes.append(hashlib.sha256(piece).hexdigest())
            size += len(piece)
            yield piece
            beat()

    calls.upload(f"{folder}/{path}", read)
    return UploadedFile(FileDigest(path, size, whole.hexdigest()), tuple(hashes))


def cut(pieces: Iterable[bytes | memoryview], size: int) -> Iterator[bytearray]:
    """The same bytes in pieces of `size`; the last one is shorter."""
    buffer = bytearray()
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            taken = rest[: size - len(buffer)]
            buffer += taken
            rest = rest[len(taken) :]
            if len(buffer) == size:
                yield buffer
                buffer = bytearray()
    if buffer:
        yield buffer


def build_parts_document(parts: Mapping[str, Sequence[str]]) -> bytes:
    """parts: hashes by the name of the file."""
    return json.dumps({"partBytes": PART_BYTES, "files": {name: list(found) for name, found in parts.items()}}).encode()


def open_shards(
    calls: ObjectCalls,
    objects: Mapping[str, StoredObject],
    index: bytes,
    parts_document: bytes,
    beat: Callable[[], None],
) -> Stored:
    """The tensors of a checkpoint. Nothing is read before it is needed. Raises Damage, and so does reading.

    objects: by name of the file. beat: called after each part that is read.
    """
    try:
        tensors, values = parse_index(index)
        document: Any = json.loads(parts_document)
        hashes = {name: [str(part) for part in found] for name, found in document["files"].items()}
        part_bytes = int(document["partBytes"])
        pool = ThreadPoolExecutor(_PARTS_AHEAD)
        names = {block.file for stored in tensors.values() for block in stored.blocks}
        files = {name: _File(calls, objects[name], hashes[name], part_bytes, pool, beat) for name in names}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damage(f"shards: {error!r}") from error
    headers: dict[str, Mapping[str, Span]] = {}

    def locate(name: str, block: Block) -> Span:
        try:
            if block.file not in headers:
                headers[block.file] = read_header(files[block.file].read, files[block.file].size)
            span = headers[block.file][name]
            check_block(name, tensors[name], block, span.shape, span.dtype)
        except (KeyError, ValueError) as error:
            raise Damage(f"shards: {block.file}: {error}") from error
        return span

    def read(name: str, block: Block, region: tuple[slice, ...]) -> torch.Tensor:
        for other, file in files.items():
            if other != block.file:
                file.forget()
        span = locate(name, block)
        rows = region[0] if region else slice(0, 1)
        row_bytes = (span.end - span.start) // (block.shape[0] if region else 1)
        data = files[block.file].read(span.start + rows.start * row_bytes, (rows.stop - rows.start) * row_bytes)
        tensor = torch.frombuffer(data, dtype=span.dtype)
        if not region:
            return tensor.view(())
        return tensor.view(rows.stop - rows.start, *block.shape[1:])[(slice(None), *region[1:])]

    return Stored(tensors, values, read, lambda name, block: locate(name, block).start)


@dataclass
class _File:
    """Bytes of an object by their range, some parts ahead of what was asked for."""

    calls: ObjectCalls
    file: StoredObject
    hashes: Sequence[str]
    part_bytes: int
    pool: ThreadPoolExecutor
    beat: Callable[[], None]
    _parts: dict[int, Future[memoryview]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.file.size

    def read(self, start: int, length: int) -> bytearray:
        if start < 0 or length < 0 or start + length > self.size:
            raise ValueError(f"bytes {start} to {start + length} are outside of the file")
        data = bytearray(length)
        for number in range(start // self.part_bytes, -(-(start + length) // self.part_bytes)):
            first = number * self.part_bytes
            low, high = max(start, first), min(start + length, first + self.part_bytes)
            data[low - start : high - start] = self._get(number)[low - first : high - first]
        return data

    def forget(self) -> None:
        """Free the memory."""
        for part in self._parts.values():
            part.cancel()
        self._parts.clear()

    def _get(self, number: int) -> memoryview:
        ahead = range(number, min(number + _PARTS_AHEAD, len(self.hashes)))
        for old in [other for other in self._parts if other not in ahead]:
            self._parts.pop(old).cancel()
        for wanted in ahead:
            if wanted not in self._parts:
                self._parts[wanted] = self.pool.submit(self._fetch, wanted)
                self.beat()
        return self._parts[number].result()

    def _fetch(self, number: int) -> memoryview:
        start = number * self.part_bytes
        length = min(self.part_bytes, self.size - start)
        for _ in range(2):  # perhaps damaged on the way
            data = self.calls.read_range(self.file, start, length)
            if hashlib.sha256(data).hexdigest() == self.hashes[number]:
                return data
        raise Damage(f"{self.file.key}: bytes {start} to {start + length} do not match their sha256")
