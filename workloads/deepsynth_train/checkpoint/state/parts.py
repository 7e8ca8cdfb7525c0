"""Which part of each tensor this process holds, which rank writes it, and a copy that training cannot change.

A weight of (5, 8) on three ranks      sharded (FSDP2), rows 2 + 2 + 1        replicated: one rank writes all of it

    rank 0                             Part(start=(0, 0), data (2, 8))        -
    rank 1                             Part(start=(2, 0), data (2, 8))        Part(start=(0, 0), data (5, 8))
    rank 2                             Part(start=(4, 0), data (1, 8))        -
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch.distributed.tensor import DTensor, Shard

_ALIGNMENT = 64


@dataclass(frozen=True)
class Part:
    """A block of a tensor.

    name, shape: of the whole tensor. start: where the block begins in it. data: the block, not a copy.
    """

    name: str
    shape: tuple[int, ...]
    start: tuple[int, ...]
    data: torch.Tensor

    @property
    def bytes(self) -> int:
        return self.data.numel() * self.data.element_size()


def locate(name: str, tensor: torch.Tensor) -> Part:
    """The block of a sharded tensor that this rank holds; all of any other tensor."""
    start = [0] * tensor.dim()
    if not isinstance(tensor, DTensor):
        return Part(name, tuple(tensor.shape), tuple(start), tensor.detach())
    (placement,) = tensor.placements  # one dimension of ranks, as FSDP2 makes it
    if isinstance(placement, Shard):
        length = tensor.shape[placement.dim]
        longest = -(-length // tensor.device_mesh.size())  # as torch.chunk: the last blocks can be shorter or empty
        start[placement.dim] = min(longest * tensor.device_mesh.get_local_rank(), length)
    return Part(name, tuple(tensor.shape), tuple(start), tensor.to_local().detach())


def is_sharded(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, DTensor) and tensor.placements[0].is_shard()


def select_parts(tensors: Mapping[str, torch.Tensor], rank: int, size: int) -> list[Part]:
    """What `rank` writes: its blocks of sharded tensors, and its share of the replicated ones.

    Each replicated tensor, largest first, goes to the rank that has the fewest bytes so far. All ranks must pass
    tensors of the same names and shapes.
    """
    own = [locate(name, tensor) for name, tensor in tensors.items() if is_sharded(tensor)]
    replicated = [locate(name, tensor) for name, tensor in tensors.items() if not is_sharded(tensor)]
    load = [0] * size
    for part in sorted(replicated, key=lambda part: (-part.bytes, part.name)):
        writer = load.index(min(load))
        load[writer] += part.bytes
        if writer == rank:
            own.append(part)
    return [part for part in own if part.data.numel()]


class HostCopier:
    """Copies parts into one buffer in host memory, which the next copy uses again; pinned if the parts are on a GPU."""

    def __init__(self) -> None:
        self._buffer = torch.empty(0, dtype=torch.uint8)

    def copy(self, parts: Sequence[Part]) -> list[Part]:
        """The parts with their data in the buffer. They are valid until the next call."""
        on_gpu = any(part.data.is_cuda for part in parts)
        size = sum(_pad(part.bytes) for part in parts)
        if self._buffer.numel() < size:
            self._buffer = torch.empty(size, dtype=torch.uint8, pin_memory=on_gpu)
        copied, offset = [], 0
        for part in parts:
            room = self._buffer[offset : offset + part.bytes].view(part.data.dtype).view(part.data.shape)
            room.copy_(part.data, non_blocking=True)
            copied.append(replace(part, data=room))
            offset += _pad(part.bytes)
        if on_gpu:
            torch.cuda.current_stream().synchronize()  # one wait for all copies
        return copied


def _pad(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
