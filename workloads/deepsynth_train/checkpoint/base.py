"""Which base model the frozen weights of a run come from. Checkpoints do not hold them, so they must not change."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

from deepsynth_train.checkpoint.manifest import BaseReference
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.state.parts import Part, is_sharded, locate

_WORDS = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.uint8}
_MODULUS = 2**64


def compute_base(
    frozen: Mapping[str, torch.Tensor], uri: str, revision: str | None, ranks: Ranks
) -> BaseReference | None:
    """A reference to the base model with a hash over all frozen weights; None without any. Called by all ranks.

    The hash covers every bit, but is made of sums, which a device computes as fast as it reads its memory (6.8 GB in
    half a second on one core), and which do not depend on how the weights are sharded. Ranks share the work.
    """
    if not frozen:
        return None
    sums = {
        name: _read_checksum(name, weight)
        for number, (name, weight) in enumerate(frozen.items())
        if is_sharded(weight) or number % ranks.size == ranks.rank
    }
    everywhere = ranks.gather(sums)
    lines = [
        f"{name} {_read_dtype(weight)} {[*weight.shape]} {sum(found.get(name, 0) for found in everywhere) % _MODULUS}"
        for name, weight in sorted(frozen.items())
    ]
    return BaseReference(uri, revision, hashlib.sha256("\n".join(lines).encode()).hexdigest())


def _read_checksum(name: str, weight: Any) -> int:
    """A weight in 4 bits remembers that of the weight that it was made from."""
    content = getattr(weight, "content", None)
    checksum: int = content.base_checksum if content else compute_checksum(locate(name, weight))
    return checksum


def _read_dtype(weight: Any) -> torch.dtype:
    content = getattr(weight, "content", None)
    dtype: torch.dtype = content.base_dtype if content else weight.dtype
    return dtype


def compute_checksum(part: Part) -> int:
    """The sum over rows r of (2 r + 1) * (sum of the row's bits as 64-bit integers), modulo 2^64.

    Any change of a single number changes it, and so do rows in another order. The sums of all parts of a tensor add up
    to that of the whole.
    """
    if not part.data.numel():
        return 0
    data = part.data
    if data.storage_offset() or not data.is_contiguous():  # words must be aligned and rows in one piece
        data = data.clone(memory_format=torch.contiguous_format)
    rows_of_numbers = data.reshape(data.shape[0] if data.dim() else 1, -1)
    row_bytes = rows_of_numbers.shape[1] * data.element_size()
    words = rows_of_numbers.view(next(word for size, word in _WORDS.items() if row_bytes % size == 0))
    rows = words.sum(dim=1, dtype=torch.int64)  # (rows,), overflow wraps around
    first = part.start[0] if part.start else 0
    factors = 2 * torch.arange(first, first + len(rows), device=rows.device) + 1
    return int((rows * factors).sum()) % _MODULUS
