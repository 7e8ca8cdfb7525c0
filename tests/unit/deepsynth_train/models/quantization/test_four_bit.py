"""A weight in 4 bits computes as the numbers that it stands for, and is never kept in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


def draw(*shape: int) -> torch.Tensor:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def quantise(weight: torch.Tensor) -> Any:
    from deepsynth_train.models.quantization.four_bit import quantise

    return quantise(weight)


def read(weight: torch.Tensor) -> torch.Tensor:
    """The numbers of the whole weight, from their definition."""
    import torch
    from bitsandbytes import functional

    packed, state = functional.quantize_4bit(weight, quant_type="nf4")
    pairs = packed.flatten()
    codes = torch.stack([pairs >> 4, pairs & 15], dim=1).flatten().long()
    scales = state.absmax.repeat_interleave(64)[: len(codes)]
    table: Any = functional.get_4bit_type("nf4", device="cpu")  # type: ignore[no-untyped-call]
    numbers: torch.Tensor = table[codes] * scales
    return numbers[: weight.numel()].view(weight.shape).to(weight.dtype)


@pytest.mark.parametrize("shape", [(33, 70), (64, 64), (5, 3)])
def test_a_linear_layer_and_its_gradient_are_those_of_the_numbers(shape: tuple[int, int]) -> None:
    import torch

    weight = draw(*shape)
    layer = torch.nn.Linear(shape[1], shape[0])
    bias = layer.bias
    layer.weight = torch.nn.Parameter(quantise(weight), requires_grad=False)
    inputs = [draw(4, shape[1]).requires_grad_() for _ in range(2)]
    outputs = [layer(inputs[0]), torch.nn.functional.linear(inputs[1], read(weight), bias)]
    for output in outputs:
        output.square().sum().backward()
    assert torch.equal(*outputs)
    assert torch.equal(*(each.grad for each in inputs if each.grad is not None))


def test_the_backward_pass_keeps_the_weight_in_4_bits() -> None:
    import torch

    from deepsynth_train.models.quantization.four_bit import FourBitTensor

    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        torch.nn.functional.linear(draw(2, 64).requires_grad_(), quantise(draw(32, 64)))
    weights = [tensor for tensor in kept if tensor.numel() == 32 * 64]
    assert weights
    assert all(isinstance(tensor, FourBitTensor) for tensor in weights)


def test_views_have_the_numbers_of_their_part() -> None:
    import torch

    weight = draw(6, 10, 30)
    small, numbers = quantise(weight), read(weight)
    views: list[Callable[[Any], Any]] = [
        lambda tensor: tensor[3],
        lambda tensor: tensor[1:4].transpose(1, 2),
        lambda tensor: tensor.permute(2, 0, 1)[7, 2:],
        lambda tensor: tensor.view(60, 30)[59:],
    ]
    for view in views:
        assert torch.equal(view(small) + 0, view(numbers))
    assert torch.equal(small.bfloat16() + 0, numbers.bfloat16())


def test_one_expert_of_many_is_read_without_the_others() -> None:
    import torch

    from deepsynth_train.memory.meter import MemoryMeter

    experts = quantise(draw(64, 32, 64))
    with MemoryMeter([experts]) as meter:
        before = meter.now
        torch.nn.functional.linear(draw(1, 64), experts[5])
    assert 4 * 32 * 64 <= meter.peak - before < 3 * 4 * 32 * 64


def test_an_estimate_counts_the_numbers_while_an_operation_needs_them() -> None:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from deepsynth_train.memory.meter import MemoryMeter

    weight = quantise(draw(256, 128))
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        small = torch.empty_like(weight)
        with MemoryMeter([small]) as meter:
            before = meter.now
            torch.nn.functional.linear(fake.from_tensor(draw(1, 128)), small)
    assert before == 256 * 128 * 9 // 16
    assert meter.peak - before >= 4 * 256 * 128


def test_routed_experts_are_multiplied_by_groups() -> None:
    import torch

    weight, tokens = draw(4, 32, 16).bfloat16(), draw(6, 16).bfloat16()
    offsets = torch.tensor([2, 2, 5, 6], dtype=torch.int32)
    expected = torch.nn.functional.grouped_mm(tokens, read(weight).transpose(-2, -1), offs=offsets)
    found = torch.nn.functional.grouped_mm(tokens, quantise(weight).transpose(-2, -1), offs=offsets)
    assert torch.equal(found, expected)


def test_the_memory_is_that_of_four_and_a_half_bits_for_a_number() -> None:
    from deepsynth_train.memory.estimate import count_bytes

    assert count_bytes([quantise(draw(256, 128))]) == 256 * 128 * 9 // 16


def test_the_hash_of_the_base_is_that_of_the_weights_before() -> None:
    from deepsynth_train.checkpoint.base import compute_base
    from deepsynth_train.checkpoint.ranks import Ranks

    weight = draw(8, 64).bfloat16()
    bases = [
        compute_base({"a.weight": each}, "hf://a/b", None, Ranks(None)) for each in (weight, quantise(weight).float())
    ]
    assert bases[0] == bases[1]
