from __future__ import annotations


def test_the_peak_counts_tensors_that_are_alive_at_the_same_time() -> None:
    import torch

    from deepsynth_train.memory.meter import MemoryMeter

    weight = torch.zeros(256)
    with MemoryMeter([weight]) as meter:
        first = torch.zeros(1024)
        del first
        second = torch.zeros(512)
    assert meter.peak == 4 * (256 + 1024)
    assert meter.now == 4 * (256 + 512)
    del second
    assert meter.now == 4 * 256


def test_views_and_changes_in_place_take_no_memory() -> None:
    import torch

    from deepsynth_train.memory.meter import MemoryMeter

    with MemoryMeter() as meter:
        tensor = torch.zeros(100)
        part = tensor[:50].view(5, 10)
        part.add_(1)
    assert meter.peak == 400


def test_activations_that_the_backward_pass_needs_are_alive_until_then() -> None:
    import torch

    from deepsynth_train.memory.meter import MemoryMeter

    weight = torch.zeros(1000, requires_grad=True)
    with MemoryMeter([weight]) as meter:
        loss = weight.exp().exp().sum()  # keeps both results for the backward pass
        assert meter.now == 4 * (1000 + 2000 + 1)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
        del loss
        assert meter.now == 4 * (1000 + 1000)  # weight and gradient


def test_fake_tensors_count_like_real_ones() -> None:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from deepsynth_train.memory.meter import MemoryMeter

    with FakeTensorMode(), MemoryMeter() as meter:
        layer = torch.nn.Linear(2**15, 2**15)  # 4 GiB
        layer(torch.zeros(1, 2**15)).sum().backward()
    assert meter.peak >= 2 * 2**32
