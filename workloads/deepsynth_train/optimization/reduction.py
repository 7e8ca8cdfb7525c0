"""Gradients summed over all ranks, in an order that does not depend on when the process started.

DistributedDataParallel rebuilds its buckets after its first backward pass, so a resumed run of three ranks or more
would add in another order than an uninterrupted one. Here buckets are fixed from the start, follow the reverse
order of the parameters, and are reduced one after the other while the backward pass still runs.
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
"""DistributedDataParallel's own default: large enough for the network, small enough to overlap."""


class Reduction(Protocol):
    """Every method is called by all ranks together."""

    needs_equal_batches: bool
    """Whether all ranks must run the same number of forward passes."""

    def zero(self) -> None:
        """Forget all gradients."""

    def arm(self) -> None:
        """The next backward pass of this rank is its last one of the step."""

    def finish(self) -> torch.Tensor:
        """Wait until gradients are the sum over all ranks; return their norm, a scalar, equal on all ranks."""

    def scale(self, factor: float) -> None:
        """Multiply all gradients."""


class Buckets:
    """Replicated parameters. Their gradients are views into a few flat tensors."""

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
            parameter.grad = flat[offset : offset + parameter.numel()].view_as(parameter)
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
        """Reduce each bucket that is complete, never before the ones in front of it: all ranks need one order."""
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
        norm: torch.Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(f) for f in self._flat]))
        return norm

    def scale(self, factor: float) -> None:
        for flat in self._flat:
            flat.mul_(factor)


class Sharded:
    """Parameters sharded by FSDP2, which reduces by itself."""

    needs_equal_batches = True

    def __init__(self, module: Any) -> None:
        self._module = module
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        for part in module.modules():
            if isinstance(part, FSDPModule):
                part.set_gradient_divide_factor(1.0)
                part.set_force_sum_reduction_for_comms(True)

    def zero(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None
        self._module.set_requires_gradient_sync(False)

    def arm(self) -> None:
        self._module.set_requires_gradient_sync(True)

    def finish(self) -> torch.Tensor:
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm: torch.Tensor = get_total_norm(gradients)
        return norm.full_tensor() if isinstance(norm, DTensor) else norm

    def scale(self, factor: float) -> None:
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)


def _fill_buckets(parameters: Sequence[nn.Parameter], limit: int) -> list[list[nn.Parameter]]:
    """Consecutive parameters of one dtype up to `limit` bytes; a larger one has a bucket of its own."""
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
