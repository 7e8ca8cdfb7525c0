"""FourBitTensor: a frozen weight in 4 bits (NF4, arXiv 2305.14314), which computes as the weight that it stands for.

A weight of (1280, 896) in bf16, 2.3 MB         the same in 4 bits, 0.65 MB

                                                packed   (573440, 1)  uint8, two numbers in each
                                                scales   (17920,)     fp32, one for each block of 64 numbers

An operation that needs the numbers gets them for as long as it runs. Views, casts and what the backward pass keeps stay
in 4 bits, so without gradient checkpointing too only one weight at a time exists in full. That is how layers of every
kind are covered, also routed experts of shape (experts, D_out, D_in), with adapters of peft on top.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from torch.utils._pytree import tree_map_only

from deepsynth_train.checkpoint.base import compute_checksum
from deepsynth_train.checkpoint.state.parts import locate
from deepsynth_train.models.quantization.library import import_bitsandbytes

FIELD: Final = "spec.model.quantize"
BLOCK: Final = 64
"""Numbers that share a scale."""
_TYPE: Final = "nf4"
_META: Final = torch.device("meta")
_ATEN: Final = torch.ops.aten
_SAME: Final = frozenset({_ATEN.detach.default, _ATEN.alias.default})
_VIEWS: Final = frozenset(
    {
        _ATEN._unsafe_view.default,  # noqa: SLF001 - the operation's name
        _ATEN.expand.default,
        _ATEN.permute.default,
        _ATEN.select.int,
        _ATEN.slice.Tensor,
        _ATEN.squeeze.dim,
        _ATEN.t.default,
        _ATEN.transpose.int,
        _ATEN.unsqueeze.default,
        _ATEN.view.default,
    }
)


@dataclass(frozen=True)
class Content:
    """What a weight and its views share.

    base_dtype, base_checksum: of the weight before it was quantised; None on the meta device, where it has no values.
    """

    packed: torch.Tensor
    scales: torch.Tensor
    base_dtype: torch.dtype
    base_checksum: int | None


class FourBitTensor(torch.Tensor):
    """A weight in 4 bits, or a view of one: size, strides and offset are those of the view in the weight."""

    content: Content

    @staticmethod
    def __new__(  # noqa: PLR0917 - torch's way
        cls: type[Self], content: Content, size: Sequence[int], strides: Sequence[int], offset: int, dtype: torch.dtype
    ) -> Self:
        tensor: Self = torch.Tensor._make_wrapper_subclass(  # noqa: SLF001 - torch's way
            cls, size, strides=strides, storage_offset=offset, dtype=dtype, device=content.packed.device
        )
        tensor.content = content
        return tensor

    def __init__(self, *_: Any) -> None: ...

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]  # torch has no type
        return f"FourBitTensor({[*self.shape]}, {self.dtype})"

    @property
    def parts(self) -> list[torch.Tensor]:
        """The tensors that take memory."""
        return [self.content.packed, self.content.scales]

    def dequantise(self) -> torch.Tensor:
        """The numbers, of only the blocks that this view touches."""
        content, offset = self.content, self.storage_offset()
        last = offset + sum((length - 1) * stride for length, stride in zip(self.shape, self.stride(), strict=True))
        blocks = slice(offset // BLOCK, last // BLOCK + 1)
        packed = content.packed[blocks.start * BLOCK // 2 : blocks.stop * BLOCK // 2]
        # As one row of an even length: bitsandbytes 0.50 reads rows shorter than a block with wrong scales on CPUs, and
        # compiles code for odd lengths.
        flat = torch.ops.bitsandbytes.dequantize_4bit.default(
            packed, content.scales[blocks], BLOCK, _TYPE, [2 * packed.numel()], self.dtype
        )
        numbers: torch.Tensor = flat.as_strided(self.shape, self.stride(), offset - blocks.start * BLOCK)
        return numbers

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's type lacks the operation
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = {name: value for name, value in (kwargs or {}).items() if value is not None}
        tensor = args[0] if args else None
        if isinstance(tensor, FourBitTensor):
            if func in _SAME:
                return _view(tensor, tensor)
            if func in _VIEWS:
                shape = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_META)
                return _view(tensor, func(shape, *args[1:], **options))
            if func is _ATEN._to_copy.default and options.keys() <= {"dtype", "device", "non_blocking"}:  # noqa: SLF001
                return _copy(tensor, **options)
            if func is _ATEN.empty_like.default:
                return _allocate(tensor, options.get("device", tensor.device))
            if func is _ATEN.set_.source_Tensor and args[1] is tensor:  # as torch parametrises a weight
                return tensor
        return func(*tree_map_only(FourBitTensor, FourBitTensor.dequantise, args), **(kwargs or {}))


def quantise(weight: torch.Tensor, value: str = "nf4") -> FourBitTensor:
    """The weight in 4 bits, on the same device. value: of spec.model.quantize, for the error if the library is missing.

    On the meta device it has a size only.
    """
    import_bitsandbytes(FIELD, value, "it to nothing")
    weight = weight.detach().contiguous()
    checksum = None if weight.is_meta else compute_checksum(locate("", weight))
    packed, scales = torch.ops.bitsandbytes.quantize_4bit.default(weight, BLOCK, _TYPE, torch.uint8)
    content = Content(packed, scales, weight.dtype, checksum)
    return FourBitTensor(content, weight.shape, weight.stride(), 0, weight.dtype)


def list_parts(tensor: torch.Tensor) -> list[torch.Tensor]:
    """The tensors that take the memory of a weight: itself, unless it is in 4 bits."""
    return tensor.parts if isinstance(tensor, FourBitTensor) else [tensor]


def is_quantised(module: torch.nn.Module) -> bool:
    return any(isinstance(parameter, FourBitTensor) for parameter in module.parameters())


def _view(tensor: FourBitTensor, shape: torch.Tensor) -> FourBitTensor:
    """A view that lies in `tensor` as `shape` does in a tensor of its size and strides."""
    offset = tensor.storage_offset() + (0 if shape is tensor else shape.storage_offset())
    return FourBitTensor(tensor.content, shape.shape, shape.stride(), offset, tensor.dtype)


def _copy(tensor: FourBitTensor, dtype: torch.dtype | None = None, **move: Any) -> FourBitTensor:
    """As another dtype, which its numbers will have, or on another device."""
    old = tensor.content
    content = old
    if move:
        packed, scales = (part.to(**move) for part in tensor.parts)
        content = Content(packed, scales, old.base_dtype, old.base_checksum)
    return FourBitTensor(content, tensor.shape, tensor.stride(), tensor.storage_offset(), dtype or tensor.dtype)


def _allocate(tensor: FourBitTensor, device: torch.device) -> FourBitTensor:
    old = tensor.content
    packed, scales = (torch.empty_like(part, device=device) for part in tensor.parts)
    content = Content(packed, scales, old.base_dtype, None)
    return FourBitTensor(content, tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype)
