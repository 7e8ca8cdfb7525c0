"""Checkpoints hold what is trained, and refer to the base model for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.checkpoint.manifest import read_manifest
from support.training.toy_checkpoints import save_steps
from unit.deepsynth_train.checkpoint.state.test_older_shards import write_older_checkpoint
from unit.deepsynth_train.checkpoint.test_folder import open_folder

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from deepsynth_train.checkpoint.content import Snapshot
    from deepsynth_train.checkpoint.state.trained import Trained


class Adapted:
    """A frozen layer, a trained one and a batch norm, whose buffers change."""

    def __init__(self, base: float = 1.0) -> None:
        import torch

        torch.manual_seed(0)
        self.frozen = torch.nn.Linear(4, 3).requires_grad_(requires_grad=False)
        self.model = torch.nn.Sequential(self.frozen, torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
        self.frozen.weight[1, 2] = base
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=0.1)

    def train(self, steps: int = 1) -> None:
        import torch

        for _ in range(steps):
            self.model(torch.arange(8.0).view(2, 4)).square().sum().backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    @property
    def trained(self) -> Trained:
        from deepsynth_train.checkpoint.state.trained import Trained

        return Trained(self.model, self.optimizer)

    def snapshot(self, step: int, **changes: Any) -> Snapshot:
        from deepsynth_train.checkpoint.content import Snapshot

        return Snapshot(**{"trained": self.trained, "state": {"step": step}, **changes})

    def state(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}


def save(path: Path, adapted: Any) -> None:
    folder = open_folder(path)
    folder.load_latest(adapted.trained, base_uri="hf://a/base", base_revision="c0ffee")
    save_steps(folder, adapted, 1)


def resume(path: Path, adapted: Adapted) -> None:
    loaded = open_folder(path).load_latest(adapted.trained, base_uri="hf://a/base", base_revision="decade")
    assert loaded is not None


def test_only_trained_tensors_and_buffers_are_saved_and_the_base_is_named(tmp_path: Path) -> None:
    from deepsynth_train.checkpoint.state.tensor_files import open_tensors

    adapted = Adapted()
    save(tmp_path, adapted)
    weights = {"1.weight", "1.bias", "2.weight", "2.bias"}
    expected = {f"model.{name}" for name in (*weights, "1.running_mean", "1.running_var", "1.num_batches_tracked")}
    expected |= {f"optimizer.state.{name}.{key}" for name in weights for key in ("step", "exp_avg", "exp_avg_sq")}
    assert set(open_tensors(tmp_path / "step-1/shards").tensors) == expected
    base = read_manifest(tmp_path / "step-1").base
    assert base is not None
    assert (base.uri, base.revision, len(base.sha256)) == ("hf://a/base", "c0ffee", 64)


def test_training_continues_bit_by_bit_with_the_frozen_weights_of_the_base(tmp_path: Path) -> None:
    import torch

    whole, interrupted, resumed = Adapted(), Adapted(), Adapted()
    whole.train(4)
    save(tmp_path, interrupted)
    resume(tmp_path, resumed)
    resumed.train(3)
    assert all(torch.equal(tensor, resumed.state()[name]) for name, tensor in whole.state().items())


def test_a_base_that_changed_is_refused_with_both_hashes(tmp_path: Path) -> None:
    save(tmp_path, Adapted())
    saved = read_manifest(tmp_path / "step-1").base
    assert saved is not None
    pattern = (
        rf"spec\.model\.uri: the base model has changed .*c0ffee with the hash {saved.sha256}.*decade with the hash"
    )
    with pytest.raises(ConfigurationError, match=pattern) as caught:
        resume(tmp_path, Adapted(base=1.0000001))
    assert caught.value.reason == "CheckpointDoesNotFit"


def test_a_run_without_frozen_weights_refers_to_no_base(tmp_path: Path) -> None:
    adapted = Adapted()
    adapted.frozen.requires_grad_()
    adapted.optimizer.add_param_group({"params": list(adapted.frozen.parameters())})
    save(tmp_path, adapted)
    assert read_manifest(tmp_path / "step-1").base is None


def test_a_weight_that_is_trained_now_but_was_frozen_then_does_not_fit(tmp_path: Path) -> None:
    save(tmp_path, Adapted())
    adapted = Adapted()
    adapted.frozen.requires_grad_()
    with pytest.raises(ConfigurationError, match=r"it has no tensor model\.0\.weight"):
        resume(tmp_path, adapted)


def test_the_frozen_weights_in_a_checkpoint_of_format_1_must_be_those_of_the_base(tmp_path: Path) -> None:
    import torch

    from support.training.toy_checkpoints import Toy

    saved = write_older_checkpoint(tmp_path)
    toy = Toy()
    toy.model.bias.requires_grad = False
    toy.optimizer = torch.optim.AdamW([toy.model.weight], lr=0.1)
    with pytest.raises(ConfigurationError, match="the frozen weight bias differs from the one in the checkpoint"):
        open_folder(tmp_path).load_latest(toy.trained)
    assert toy.model.bias is not saved.model.bias


def test_state_of_an_optimizer_that_is_not_a_tensor_comes_back(tmp_path: Path) -> None:
    adapted, resumed = Adapted(), Adapted()
    adapted.train()
    for state in adapted.optimizer.state.values():
        state["count"], state["scales"] = 3, [0.5, 0.25]
    save(tmp_path, adapted)
    resume(tmp_path, resumed)
    assert [(state["count"], state["scales"]) for state in resumed.optimizer.state.values()] == [(3, [0.5, 0.25])] * 4


def test_the_model_writer_gets_the_trained_weights_as_they_were_saved(tmp_path: Path) -> None:
    import torch

    adapted, folder = Adapted(), open_folder(tmp_path)
    seen: dict[str, torch.Tensor] = {}

    def write_model(path: Path, tensors: dict[str, torch.Tensor]) -> None:
        adapted.train()
        seen.update({name: tensor.clone() for name, tensor in tensors.items()})

    before = adapted.state()
    folder.save(1, adapted.snapshot(1, write_model=write_model))
    folder.wait()
    assert seen.keys() == before.keys() - {"0.weight", "0.bias"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in seen.items())
