"""AdamW with moments in fp32 and in 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_training import VIT, build_model, build_samples, build_settings, build_stepper
from support.training.toy_checkpoints import save_steps
from unit.deepsynth_train.checkpoint.test_folder import open_folder

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from deepsynth_train.checkpoint.content import Snapshot
    from deepsynth_train.checkpoint.state.trained import Trained


class Run:
    """A tiny model that is trained on one batch."""

    def __init__(self, kind: str = "adamw8bit") -> None:
        self.model = build_model(VIT)
        self.settings = build_settings(VIT, optimizer={"type": kind})
        self.stepper = build_stepper(self.model, self.settings)
        self.batch = self.model.family.collate(build_samples(self.model, 4))

    def train(self, steps: int = 1) -> list[float]:
        from deepsynth_train.optimization.step import Flags

        return [self.stepper.run(iter([self.batch]), 1, 1e-3, Flags()).loss for _ in range(steps)]

    @property
    def trained(self) -> Trained:
        from deepsynth_train.checkpoint.state.trained import Trained

        return Trained(self.model.module, self.stepper.optimizer)

    def snapshot(self, step: int, **changes: Any) -> Snapshot:
        from deepsynth_train.checkpoint.content import Snapshot

        return Snapshot(**{"trained": self.trained, "state": {"step": step}, **changes})


def check(device: str = "cpu", **changes: Any) -> None:
    import torch

    from deepsynth_train.optimization.optimizer import check_optimizer

    check_optimizer(build_settings(VIT, **changes), torch.device(device))


def count_state(optimizer: torch.optim.Optimizer) -> int:
    tensors = [value for state in optimizer.state.values() for value in state.values() if hasattr(value, "data_ptr")]
    return sum({tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in tensors}.values())


@pytest.mark.parametrize("kind", ["adamw", "adamw8bit"])
def test_the_state_takes_what_the_estimate_says(kind: str) -> None:
    from deepsynth_train.optimization.optimizer import count_state_bytes

    run = Run(kind)
    run.train(1)
    expected = count_state_bytes([p for p in run.model.module.parameters() if p.requires_grad], run.settings.optimizer)
    assert count_state(run.stepper.optimizer) == pytest.approx(expected, rel=0.01)


def test_8_bit_moments_learn_like_moments_in_fp32_in_a_third_of_the_memory() -> None:
    runs = [Run("adamw"), Run("adamw8bit")]
    losses = [run.train(6) for run in runs]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert losses[1][-1] < losses[1][0] - 0.3
    states = [count_state(run.stepper.optimizer) for run in runs]
    assert states[1] < states[0] / 3  # tensors below 4,096 weights keep fp32


def test_a_resumed_run_with_8_bit_moments_continues_bit_by_bit(tmp_path: Path) -> None:
    whole, interrupted, resumed = Run(), Run(), Run()
    expected = whole.train(5)
    interrupted.train(2)
    folder = open_folder(tmp_path)
    folder.load_latest(interrupted.trained)
    saved: Any = interrupted
    save_steps(folder, saved, 3)
    assert open_folder(tmp_path).load_latest(resumed.trained) is not None
    assert resumed.train(2) == expected[3:]
    for name, tensor in whole.trained.list_tensors().items():
        assert tensor.equal(resumed.trained.list_tensors()[name]), name
    assert whole.trained.list_values() == resumed.trained.list_values()


def test_what_an_8_bit_optimizer_cannot_do_is_refused_with_a_remedy() -> None:
    check(sharding="full")
    with pytest.raises(ConfigurationError, match=r"spec\.optimizer\.type: must be adamw with spec\.sharding full"):
        check(sharding="full", optimizer={"type": "adamw8bit"})
    with pytest.raises(ConfigurationError, match="needs an NVIDIA GPU; use adamw8bit"):
        check(optimizer={"type": "pagedAdamw8bit"})
    check("cuda", optimizer={"type": "pagedAdamw8bit"})
