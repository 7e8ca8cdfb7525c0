from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.training.tiny_training import OCR2, build_model, build_samples, build_settings, build_stepper, build_world

if TYPE_CHECKING:
    import torch

    from deepsynth_train.optimization.precision import Precision


def test_an_overflow_halves_the_scale_and_two_thousand_good_steps_double_it() -> None:
    from deepsynth_train.optimization.precision import LossScale

    scale = LossScale.build("fp16")
    start = scale.scale
    scale.update(finite=False)
    assert scale.scale == start / 2
    for _ in range(2000):
        scale.update(finite=True)
    assert scale.scale == start


def test_without_fp16_the_scale_stays_one() -> None:
    from deepsynth_train.optimization.precision import LossScale

    scale = LossScale.build("bf16")
    scale.update(finite=False)
    assert scale.scale == 1


def spy_on_experts(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The dtypes that routed experts multiply in from now on."""
    import torch

    seen: list[torch.dtype] = []
    original = torch.nn.functional.grouped_mm

    def spy(left: torch.Tensor, right: torch.Tensor, **rest: Any) -> torch.Tensor:
        seen.extend((left.dtype, right.dtype))
        return original(left, right, **rest)

    monkeypatch.setattr(torch.nn.functional, "grouped_mm", spy)
    return seen


def test_routed_experts_compute_in_bf16_though_autocast_leaves_them_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from deepsynth_train.optimization.loss import compute_loss_sum
    from deepsynth_train.optimization.precision import build_autocast, cast_experts

    seen = spy_on_experts(monkeypatch)
    model = build_model()
    batch = model.family.collate(build_samples(model, 2))
    autocast = build_autocast("bf16", torch.device("cpu"))
    compute_loss_sum(model, batch, autocast)
    assert set(seen) == {torch.float32}, "autocast casts grouped_mm now: cast_experts is no longer needed"
    seen.clear()
    cast_experts(model.module, "bf16")
    compute_loss_sum(model, batch, autocast).backward()  # type: ignore[no-untyped-call]  # torch has no types here
    assert set(seen) == {torch.bfloat16}
    experts = [p for name, p in model.module.named_parameters() if "experts.gate_up_proj" in name]
    assert experts
    assert all(p.dtype == torch.float32 and p.grad is not None and p.grad.abs().sum() > 0 for p in experts)


def test_weights_move_at_a_learning_rate_of_a_millionth() -> None:
    import torch

    from deepsynth_train.optimization.precision import build_autocast, cast_experts
    from deepsynth_train.optimization.step import Flags

    model = build_model()
    cast_experts(model.module, "bf16")
    settings = build_settings(optimizer={"learning_rate": "1e-6", "weight_decay": "0"})
    stepper = build_stepper(model, settings)
    stepper.autocast = build_autocast("bf16", torch.device("cpu"))
    before = {name: p.detach().clone() for name, p in model.module.named_parameters()}
    batch = model.family.collate(build_samples(model, 4))
    stepper.run(iter([batch]), 1, 1e-6, Flags())
    moved = [
        (p != before[name])[p.grad != 0].float().mean()
        for name, p in model.module.named_parameters()
        if "experts" in name and p.grad is not None and "shared" not in name
    ]
    assert min(moved) > 0.99


def test_experts_are_cast_once_while_their_casts_are_kept() -> None:
    import torch

    from deepsynth_train.optimization.loss import compute_loss_sum
    from deepsynth_train.optimization.precision import build_autocast, cast_experts, keep_expert_casts

    model = build_model()
    cast_experts(model.module, "bf16")
    autocast = build_autocast("bf16", torch.device("cpu"))
    batch = model.family.collate(build_samples(model, 2))
    experts = next(
        part for part in model.module.modules() if hasattr(part, "gate_up_proj") and part.gate_up_proj.ndim == 3
    )
    with torch.no_grad():
        usual = compute_loss_sum(model, batch, autocast)
        with keep_expert_casts(model.module):
            assert compute_loss_sum(model, batch, autocast) == usual
            experts.gate_up_proj.zero_()
            assert compute_loss_sum(model, batch, autocast) == usual, "the cast from before is used"
        assert compute_loss_sum(model, batch, autocast) != usual


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_adapters_on_routed_experts_get_gradients_and_the_experts_compute_in_the_precision(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from deepsynth_train.optimization.loss import compute_loss_sum
    from deepsynth_train.optimization.precision import build_autocast
    from deepsynth_train.optimization.sharding import place_module

    seen = spy_on_experts(monkeypatch)
    lora = {"rank": 2, "alpha": 4, "dropout": "0", "target_modules": ["experts"]}
    model = build_model(model={"uri": OCR2, "lora": lora})
    for name, parameter in model.module.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)  # it starts at 0, where lora_A gets no gradient
    place_module(model.module, build_settings(precision=precision), build_world())
    batch = model.family.collate(build_samples(model, 2))
    loss = compute_loss_sum(model, batch, build_autocast(precision, torch.device("cpu")))
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
    trained = [parameter for parameter in model.module.parameters() if parameter.requires_grad]
    assert len(trained) == 8, "two factors of two weights in two layers"
    assert all(p.dtype == torch.float32 and p.grad is not None and p.grad.abs().sum() > 0 for p in trained)
    assert set(seen) == {{"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]}
