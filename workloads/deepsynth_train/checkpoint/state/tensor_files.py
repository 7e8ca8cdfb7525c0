"""Tensors on disk: one safetensors file per rank, and index.json, which says where each tensor is. No pickle.

    shards/rank-0.safetensors
    shards/rank-1.safetensors
    shards/index.json   {"tensors": {"model.wte.weight": {"dtype": "F32", "shape": [5, 8], "blocks": [
                            {"file": "rank-0.safetensors", "start": [0, 0], "shape": [3, 8]},
                            {"file": "rank-1.safetensors", "start": [3, 0], "shape": [2, 8]}]}, ...},
                         "values": {"optimizer.state.wte.weight.step": 12, ...}}

Any number of ranks can read it: each maps the files into memory and copies only the rows that it needs. Torch's
HuggingFaceStorageWriter also writes safetensors, but holds the data twice more in memory and loses all that is not a
tensor.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import torch

from deepsynth_train.checkpoint.state.parts import Part

INDEX_FILE: Final = "index.json"

_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_CODES: Final = {dtype: code for code, dtype in _DTYPES.items()}


class Damage(Exception):  # noqa: N818 - what was found in a file, not an error of ours
    """The content of a checkpoint cannot be used, although its hashes match."""


@dataclass(frozen=True)
class Block:
    """A block of a tensor in a file. start: of the block in the whole tensor."""

    file: str
    start: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class StoredTensor:
    dtype: torch.dtype
    shape: tuple[int, ...]
    blocks: tuple[Block, ...]


ReadBlock = Callable[[str, Block, tuple[slice, ...]], torch.Tensor]
"""Reads (name of the tensor, block, region inside the block)."""


@dataclass(frozen=True)
class Stored:
    """What a checkpoint holds. values: what is not a tensor, by name. `read` is called for the regions needed.

    position: where a block is in its file, so that `fill` reads each file once, from its beginning to its end.
    """

    tensors: Mapping[str, StoredTensor]
    values: Mapping[str, Any]
    read: ReadBlock
    position: Callable[[str, Block], int] = lambda _name, _block: 0

    def fill(self, parts: Iterable[Part]) -> None:
        """Copy stored tensors into `data` of each part. Raises ValueError when there is none of its name and shape."""
        found = ((part, block, _find_overlap(block, part)) for part in parts for block in self._find(part))
        wanted = [(part, block, overlap) for part, block, overlap in found if overlap]
        wanted.sort(key=lambda entry: entry[1].file)
        for _, group in groupby(wanted, key=lambda entry: entry[1].file):
            for part, block, (source, target) in sorted(group, key=lambda e: self.position(e[0].name, e[1])):
                part.data[target].copy_(self.read(part.name, block, source))

    def _find(self, part: Part) -> tuple[Block, ...]:
        stored = self.tensors.get(part.name)
        if stored is None:
            raise ValueError(f"it has no tensor {part.name}")
        if stored.shape != part.shape:
            raise ValueError(f"{part.name} has the shape {[*stored.shape]}, the model has {[*part.shape]}")
        return stored.blocks

    def get(self, name: str) -> torch.Tensor:
        """A whole tensor: mapped from its file if it is in one block, else put together in memory."""
        stored = self.tensors[name]
        if len(stored.blocks) == 1:
            return self.read(name, stored.blocks[0], tuple(slice(0, length) for length in stored.shape))
        whole = torch.empty(stored.shape, dtype=stored.dtype)
        self.fill([Part(name, stored.shape, (0,) * len(stored.shape), whole)])
        return whole


def _find_overlap(block: Block, part: Part) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """The region in the block, and the same region in the part; None when they do not meet."""
    source, target = [], []
    for first, length, other, size in zip(block.start, block.shape, part.start, part.data.shape, strict=True):
        low, high = max(first, other), min(first + length, other + size)
        if low >= high:
            return None
        source.append(slice(low - first, high - first))
        target.append(slice(low - other, high - other))
    return tuple(source), tuple(target)


def write_tensors(path: Path, parts: Sequence[Part]) -> None:
    """Write a safetensors file piece by piece, without a copy of the data in memory. The data is on the CPU."""
    with path.open("wb") as file:
        for piece in encode_tensors(parts):
            file.write(piece)


def encode_tensors(parts: Sequence[Part]) -> Iterator[bytes | memoryview]:
    """The pieces of a safetensors file: its header, then the data of each part as it is in memory, on the CPU."""
    ordered = sorted(parts, key=lambda part: (-part.data.element_size(), part.name))  # so that each is aligned
    header, offset = {}, 0
    for part in ordered:
        span = [offset, offset + part.bytes]
        header[part.name] = {"dtype": _CODES[part.data.dtype], "shape": [*part.data.shape], "data_offsets": span}
        offset += part.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for part in ordered:
        yield part.data.contiguous().reshape(-1).view(torch.uint8).numpy().data


@dataclass(frozen=True)
class Span:
    """Where a tensor is in a safetensors file. start, end: bytes from the beginning of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(read: Callable[[int, int], bytes | bytearray], size: int) -> dict[str, Span]:
    """The tensors of a safetensors file of `size` bytes. read: (start, length) -> these bytes.

    Raises ValueError when it is none.
    """
    length = int.from_bytes(read(0, 8), "little")
    if not 2 <= length <= size - 8:
        raise ValueError("not a safetensors file")
    try:
        header = json.loads(read(8, length))
        first = 8 + length
        return {
            name: Span(_DTYPES[entry["dtype"]], tuple(entry["shape"]), *(first + at for at in entry["data_offsets"]))
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a safetensors file: {error!r}") from error


def describe_parts(file: str, parts: Iterable[Part]) -> dict[str, StoredTensor]:
    """The tensors whose parts one rank wrote to `file`."""
    return {
        part.name: StoredTensor(part.data.dtype, part.shape, (Block(file, part.start, tuple(part.data.shape)),))
        for part in parts
    }


def write_index(folder: Path, written: Iterable[Mapping[str, StoredTensor]], values: Mapping[str, Any]) -> Path:
    """See build_index."""
    path = folder / INDEX_FILE
    path.write_text(build_index(written, values))
    return path


def build_index(written: Iterable[Mapping[str, StoredTensor]], values: Mapping[str, Any]) -> str:
    """Join what the ranks wrote. Raises ValueError when a tensor has a gap: the ranks held different tensors."""
    tensors: dict[str, StoredTensor] = {}
    for rank in written:
        for name, stored in rank.items():
            earlier = tensors[name].blocks if name in tensors else ()
            tensors[name] = StoredTensor(stored.dtype, stored.shape, earlier + stored.blocks)
    for name, stored in tensors.items():
        _check_blocks(name, stored)
    document = {
        "tensors": {
            name: {"dtype": _CODES[stored.dtype], "shape": stored.shape, "blocks": [asdict(b) for b in stored.blocks]}
            for name, stored in tensors.items()
        },
        "values": dict(values),
    }
    return json.dumps(document)


def parse_index(text: str | bytes) -> tuple[dict[str, StoredTensor], dict[str, Any]]:
    """The tensors, and what is not a tensor. Raises KeyError, TypeError, ValueError or AttributeError."""
    document = json.loads(text)
    return {name: _parse_tensor(name, entry) for name, entry in document["tensors"].items()}, dict(document["values"])


def open_tensors(folder: Path) -> Stored:
    """Map all files and check them against the index. Raises Damage; what comes back can be read without surprises."""
    from safetensors import SafetensorError, safe_open

    try:
        tensors, values = parse_index((folder / INDEX_FILE).read_text())
        names = {block.file for stored in tensors.values() for block in stored.blocks}
        files: dict[str, Any] = {name: safe_open(folder / name, framework="pt") for name in names}
        for name, stored in tensors.items():
            for block in stored.blocks:
                found = files[block.file].get_slice(name)
                check_block(name, stored, block, tuple(found.get_shape()), _DTYPES[found.get_dtype()])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damage(f"{folder.name}: {error}") from error

    def read(name: str, block: Block, region: tuple[slice, ...]) -> torch.Tensor:
        whole = all(part == slice(0, length) for part, length in zip(region, block.shape, strict=True))
        file = files[block.file]
        tensor: torch.Tensor = file.get_tensor(name) if whole else file.get_slice(name)[region]
        return tensor

    return Stored(tensors, values, read)


def _parse_tensor(name: str, entry: Mapping[str, Any]) -> StoredTensor:
    blocks = tuple(Block(str(b["file"]), tuple(b["start"]), tuple(b["shape"])) for b in entry["blocks"])
    stored = StoredTensor(_DTYPES[entry["dtype"]], tuple(entry["shape"]), blocks)
    _check_blocks(name, stored)
    return stored


def _check_blocks(name: str, stored: StoredTensor) -> None:
    if any(Path(block.file).name != block.file for block in stored.blocks):
        raise ValueError(f"{name} must be in a file of this folder")
    for block in stored.blocks:
        ends = (first + length for first, length in zip(block.start, block.shape, strict=True))
        if any(end > length for end, length in zip(ends, stored.shape, strict=True)) or min(block.start, default=0) < 0:
            raise ValueError(f"a block of {name} is outside of it")
    if sum(math.prod(block.shape) for block in stored.blocks) != math.prod(stored.shape):
        raise ValueError(f"the blocks of {name} do not add up to its shape {[*stored.shape]}")


def check_block(name: str, stored: StoredTensor, block: Block, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Raises ValueError when its file has another shape or dtype."""
    if (shape, dtype) != (block.shape, stored.dtype):
        raise ValueError(f"{name} in {block.file} is not what the index says")
