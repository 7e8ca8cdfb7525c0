"""Mixed precision: dtypes of weights, which parts compute in bf16 or fp16, and the loss scale of fp16."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import nn

from deepsynth_train.models.adapter_targets import list_expert_weights

Precision = Literal["bf16", "fp16", "fp32"]

_INITIAL_SCALE: Final = 128.0
"""The loss is a sum over label tokens, some hundred times larger than a mean, so the usual 2^16 would overflow."""
_GROWTH_INTERVAL: Final = 2000


def build_autocast(precision: Precision, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """A factory of contexts; a forward pass inside one computes in `precision`."""
    if precision == "fp32":
        return nullcontext
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return lambda: torch.autocast(device.type, dtype=dtype)


def set_weight_dtypes(module: nn.Module, precision: Precision) -> None:
    """Trained weights become fp32: in bf16 they stop changing at small learning rates. Frozen ones take half of that.

    With spec.precision bf16 frozen weights become bf16, with fp16 they stay as they are stored, with fp32 all are fp32.
    Casts one weight at a time.
    """
    for parameter in module.parameters():
        if parameter.requires_grad or precision == "fp32":
            parameter.data = parameter.data.float()
        elif precision == "bf16":
            parameter.data = parameter.data.bfloat16()


def cast_experts(module: nn.Module, precision: Precision) -> None:
    """Make routed experts compute in `precision` too.

    autocast does not cover torch's grouped_mm, so the experts, which hold most weights of a mixture, would compute in
    fp32. Their weights stay fp32 in the optimizer, because bf16 weights stop changing at small learning rates, and
    are cast in each forward pass:

        hidden (tokens, D) fp32 -> bf16, weights (experts, D_out, D_in) fp32 -> bf16, result bf16 -> fp32
    """
    if precision == "fp32":
        return
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    for part in module.modules():
        if weights := list_expert_weights(part):
            part.forward = _CastForward(part, weights, dtype)


@contextmanager
def keep_expert_casts(module: nn.Module) -> Iterator[None]:
    """Inside, experts are cast once and not in each forward pass: for text, which takes a pass per token.

    The weights must not change inside, and must not be sharded. The casts take 2 bytes per weight of trained experts.
    """
    casts = [part.forward for part in module.modules() if isinstance(part.forward, _CastForward)]
    for cast in casts:
        cast.kept = {}
    try:
        yield
    finally:
        for cast in casts:
            cast.kept = None


class _CastForward:
    """The forward pass of a module as if its weights had another dtype. Gradients reach the real weights.

    kept: casts by the name of the weight, while `keep_expert_casts` keeps them.
    """

    kept: dict[str, torch.Tensor] | None = None

    def __init__(self, part: nn.Module, weights: Collection[str], dtype: torch.dtype) -> None:
        self._part = part
        self._weights = weights
        self._dtype = dtype

    def __call__(self, hidden: torch.Tensor, *rest: Any) -> torch.Tensor:
        result: torch.Tensor = type(self._part).forward(_CastWeights(self), hidden.to(self._dtype), *rest)
        return result.to(hidden.dtype)

    def read(self, name: str) -> Any:
        """An attribute of the module, cast if it is a weight. With adapters, peft adds them to what is read here."""
        value = getattr(self._part, name)
        if name not in self._weights or value.dtype == self._dtype:
            return value
        if self.kept is None:
            return value.to(self._dtype)
        if name not in self.kept:
            self.kept[name] = value.to(self._dtype)
        return self.kept[name]


class _CastWeights:
    """What the forward pass sees as `self`."""

    def __init__(self, cast: _CastForward) -> None:
        self._cast = cast

    def __getattr__(self, name: str) -> Any:
        return self._cast.read(name)


@dataclass
class LossScale:
    """Dynamic loss scale of fp16: halved after an overflow, doubled after 2000 steps without one. Otherwise 1.

    finite: whether loss and gradients were finite on all ranks, so that all ranks keep the same scale.
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
