from __future__ import annotations

import pytest


def test_a_loss_in_chunks_is_the_loss_of_all_rows() -> None:
    import torch

    from deepsynth_train.optimization.loss import sum_cross_entropy

    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 50, (23,), generator=generator)
    found = []
    for chunk in (10_000, 4 * 50, 1):
        logits = torch.randn(23, 50, generator=generator.manual_seed(1)).bfloat16().requires_grad_()
        loss = sum_cross_entropy(logits, targets, chunk)
        (3 * loss).backward()  # type: ignore[no-untyped-call]  # torch has no types here
        assert logits.grad is not None
        found.append((loss.detach(), logits.grad))
    for loss, gradient in found[1:]:
        assert float(loss) == pytest.approx(float(found[0][0]), rel=1e-6)
        torch.testing.assert_close(gradient, found[0][1], rtol=0, atol=0)


def test_chunks_take_less_memory() -> None:
    import torch

    from deepsynth_train.memory.meter import MemoryMeter
    from deepsynth_train.optimization.loss import sum_cross_entropy

    peaks = []
    for chunk in (2**30, 2**14):
        logits = torch.zeros(256, 1024, dtype=torch.bfloat16, requires_grad=True)
        with MemoryMeter([logits]) as meter:
            sum_cross_entropy(logits, torch.zeros(256, dtype=torch.long), chunk).backward()  # type: ignore[no-untyped-call]
        peaks.append(meter.peak)
    assert peaks[1] < peaks[0] / 2


def test_no_label_token_costs_nothing() -> None:
    import torch

    from deepsynth_train.optimization.loss import sum_cross_entropy

    logits = torch.zeros(0, 7, requires_grad=True)
    loss = sum_cross_entropy(logits, torch.zeros(0, dtype=torch.long))
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
    assert float(loss.detach()) == 0
    assert logits.grad is not None
