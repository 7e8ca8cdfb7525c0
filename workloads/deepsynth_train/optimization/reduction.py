"""Gradients summed over all ranks, always in the same order, so that a resumed run computes the same bits.

DistributedDataParallel rebuilds its buckets after the first backward pass. With three ranks or more, a resumed run
would add gradients in another order than an uninterrupted one. Here the buckets are fixed from the start. They hold
the parameters in reverse order, as the backward pass produces gradients, and are reduced one after the other while it
still runs:

    parameters      embed  layer0  layer1  layer2  head
    buckets         [  2: embed  ][ 1: layer0 layer1 ][ 0: layer2 head ]     25 MiB each, one flat tensor
    backward        <-----------------------------------------------
    all-reduce 0                                       starts when head and layer2 have gradients
    all-reduce 1                    starts when layer1 and layer0 have gradients and all-reduce 0 was started
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm

BUCKET_BYTES = 25 * 2**20
"""The default of DistributedDataParallel: large enough for the network, small enough to overlap with the backward."""


class Reduction(Protocol):
    """Sums gradients over ranks and holds them. Every method is called by all ranks together."""

    needs_equal_batches: bool
    """Whether all ranks must run the same number of forward passes."""

    def zero(self) -> None:
        """Clear all gradients."""

    def arm(self) -> None:
        """Announce that the next backward pass of this rank is its last one of the step."""

    def finish(self) -> torch.Tensor:
        """Wait until gradients are the sum over all ranks. Returns their norm: a scalar, the same on all ranks."""

    def scale(self, factor: float) -> None:
        """Multiply all gradients."""


class Buckets:
    """For replicated parameters. `parameter.grad` is a view into the flat tensor of its bucket."""

    needs_equal_batches = False

    def __init__(self, parameters: Sequence[nn.Parameter], world_size: int, bucket_bytes: int = BUCKET_BYTES) -> None:
        self._world_size = world_size
        self._flat: list[torch.Tensor] = []
        self._missing: list[set[nn.Parameter]] = []
        self._members: list[list[nn.Parameter]] = []
        self._handles: list[Any] = []
        self._armed = False
        for group in _fill_buckets(list(reversed(parameters)), bucket_bytes):
            self._add_bucket(group)

    def _add_bucket(self, group: list[nn.Parameter]) -> None:
        flat = torch.zeros(sum(p.numel() for p in group), dtype=group[0].dtype, device=group[0].device)
        number, offset = len(self._flat), 0
        for parameter in group:
            parameter.grad = flat[offset : offset + parameter.numel()].view_as(parameter)  # shares memory with flat
            offset += parameter.numel()
            hook = partial(self._on_gradient, number)
            parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]  # torch has no types here
        self._flat.append(flat)
        self._members.append(group)
        self._missing.append(set())

    def zero(self) -> None:
        for flat in self._flat:
            flat.zero_()

    def arm(self) -> None:
        self._armed = True
        self._missing = [set(group) for group in self._members]

    def _on_gradient(self, number: int, parameter: nn.Parameter) -> None:
        """Reduce complete buckets, in the order of their numbers: every rank must start the same all-reduce next."""
        if not self._armed:
            return
        self._missing[number].discard(parameter)
        while len(self._handles) < len(self._flat) and not self._missing[len(self._handles)]:
            self._launch()

    def _launch(self) -> None:
        flat = self._flat[len(self._handles)]
        self._handles.append(dist.all_reduce(flat, async_op=True) if self._world_size > 1 else None)

    def finish(self) -> torch.Tensor:
        while len(self._handles) < len(self._flat):
            self._launch()
        for handle in self._handles:
            if handle is not None:
                handle.wait()
        self._handles, self._armed = [], False
        norms = torch.stack([torch.linalg.vector_norm(flat) for flat in self._flat])  # (buckets,)
        norm: torch.Tensor = torch.linalg.vector_norm(norms)  # () of all gradients
        return norm

    def scale(self, factor: float) -> None:
        for flat in self._flat:
            flat.mul_(factor)


class Sharded:
    """For parameters sharded by FSDP2, which reduces gradients itself."""

    needs_equal_batches = True

    def __init__(self, module: Any) -> None:
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._sharded = [part for part in module.modules() if isinstance(part, FSDPModule)]
        for part in self._sharded:
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)

    def zero(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None
        self._set_sync(False)

    def arm(self) -> None:
        self._set_sync(True)

    def _set_sync(self, enabled: bool) -> None:
        for part in self._sharded:
            part.set_requires_gradient_sync(enabled, recurse=False)

    def finish(self) -> torch.Tensor:
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm: torch.Tensor = get_total_norm(gradients)
        return norm.full_tensor() if isinstance(norm, DTensor) else norm  # ()

    def scale(self, factor: float) -> None:
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)


def _fill_buckets(parameters: Sequence[nn.Parameter], limit: int) -> list[list[nn.Parameter]]:
    """Consecutive parameters of one dtype, up to `limit` bytes per bucket; a larger parameter gets its own bucket."""
    buckets: list[list[nn.Parameter]] = []
    size = 0
    for parameter in parameters:
        bytes_ = parameter.numel() * parameter.element_size()
        if not buckets or size + bytes_ > limit or buckets[-1][0].dtype != parameter.dtype:
            buckets.append([])
            size = 0
        buckets[-1].append(parameter)
        size += bytes_
    return buckets
