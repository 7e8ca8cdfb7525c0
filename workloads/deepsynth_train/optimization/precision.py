"""Mixed precision: fp32 master weights always; what is computed in bf16 or fp16, and the loss scale of fp16."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import nn

Precision = Literal["bf16", "fp16", "fp32"]

_INITIAL_SCALE: Final = 128.0
"""The loss is a sum over label tokens, so it is some hundred times larger than a mean: 2^16 would be too much."""
_GROWTH_INTERVAL: Final = 2000


def build_autocast(precision: Precision, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """A factory of contexts in which a forward pass computes in `precision`."""
    if precision == "fp32":
        return nullcontext
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return lambda: torch.autocast(device.type, dtype=dtype)


def cast_experts(module: nn.Module, precision: Precision) -> None:
    """Make routed experts compute in `precision` as well.

    torch's grouped_mm is not on autocast's list, so experts, most of a mixture's weights, would run in fp32. Their
    weights stay fp32 in the optimizer (bf16 ones stop moving at small learning rates) and are cast in each forward.
    """
    if precision == "fp32":
        return
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    for part in module.modules():
        if any(weight.ndim == 3 for weight in part.parameters(recurse=False)) and hasattr(part, "num_experts"):
            part.forward = _cast_forward(part, dtype)


def _cast_forward(part: nn.Module, dtype: torch.dtype) -> Callable[..., torch.Tensor]:
    forward = type(part).forward

    def forward_cast(hidden: torch.Tensor, *rest: Any) -> torch.Tensor:
        result: torch.Tensor = forward(_CastWeights(part, dtype), hidden.to(dtype), *rest)
        return result.to(hidden.dtype)

    return forward_cast


class _CastWeights:
    """Looks like the module, but its weights are of another dtype. Gradients reach the real ones."""

    def __init__(self, part: nn.Module, dtype: torch.dtype) -> None:
        self._part = part
        self._dtype = dtype

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        return value.to(self._dtype) if isinstance(value, nn.Parameter) else value


@dataclass
class LossScale:
    """Dynamic loss scale of fp16: halved after an overflow, doubled after 2000 steps without one; 1 otherwise.

    The caller says `finite` of all ranks together, so all ranks hold the same scale.
    """

    scale: float
    good_steps: int = 0
    dynamic: bool = True

    @classmethod
    def build(cls, precision: Precision) -> "LossScale":
        return cls(_INITIAL_SCALE) if precision == "fp16" else cls(1.0, dynamic=False)

    def update(self, *, finite: bool) -> None:
        if not self.dynamic:
            return
        self.good_steps = self.good_steps + 1 if finite else 0
        if not finite:
            self.scale = max(self.scale / 2, 1.0)
        elif self.good_steps % _GROWTH_INTERVAL == 0:
            self.scale *= 2
