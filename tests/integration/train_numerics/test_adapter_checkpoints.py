"""Checkpoints of a run with adapters hold the adapters and refer to the base model."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.checkpoint.manifest import read_manifest
from integration.train_numerics import rank_training
from support.training.page_dataset import build_documents, write_dataset
from support.training.rank_processes import CONTEXT, run_ranks
from support.training.tiny_training import MODULES, Recorder, read_weights
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_api.workload import TrainWorkload
    from deepsynth_train.attempt.run import TrainResult

CONTEXT.set_forkserver_preload([*MODULES, "peft"])

STEPS = 4


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("pages"), {"train": build_documents(7)})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_base(tmp_path_factory.mktemp("base"))


def write_base(folder: Path) -> str:
    """The URI of a saved model: adapters are published for a base that can be opened again."""
    import torch

    from deepsynth_train.models.random.tiny import build_tiny_deepseek_ocr2

    torch.manual_seed(0)
    module, processor = build_tiny_deepseek_ocr2()
    module.save_pretrained(folder)
    processor.save_pretrained(folder)
    return f"file://{folder}"


def build_document(folder: Path, pages: Path, base: str, attempt: int = 1, **changes: Any) -> TrainWorkload:
    settings: dict[str, Any] = {
        "attempt": attempt,
        "model": {"uri": base, "lora": {"rank": 2, "alpha": 4}},
        "datasets": [{"name": "d", "uri": f"file://{pages}", "validation_split": ""}],
        "precision": "fp32",
        "image_processor": {"size": 64},
        "global_batch_size": 3,
        "micro_batch_size": 2,
        "max_steps": STEPS,
        "optimizer": {"learning_rate": "0.01"},
        "checkpoint": {"uri": f"file://{folder}/checkpoints", "every_steps": 2},
        "publish": {"uri": f"file://{folder}/published", "format": "adapter"},
    }
    return build_train_workload(folder, **{**settings, **changes})


def run(folder: Path, workload: TrainWorkload, stop_after: int = STEPS) -> TrainResult:
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPSYNTH_CACHE", str(folder / "cache"))
        return run_attempt(workload, join_world(), recorder, lambda: len(recorder.steps) + 1 >= stop_after)


def list_saved(step: Path) -> set[str]:
    from deepsynth_train.checkpoint.state.tensor_files import open_tensors

    return set(open_tensors(step / "shards").tensors)


def test_a_checkpoint_holds_the_adapters_alone_and_its_model_folder_opens_with_peft(
    pages: Path, base: str, tmp_path: Path
) -> None:
    run(tmp_path, build_document(tmp_path, pages, base))
    step = tmp_path / f"checkpoints/step-{STEPS}"
    names = list_saved(step)
    assert names
    assert {name for name in names if "lora_" not in name} == set()
    assert not (step / "model/model.safetensors").exists()
    assert (step / "model/adapter_config.json").exists()
    saved, published = (
        (folder / "adapter_model.safetensors").read_bytes() for folder in (step / "model", tmp_path / "published")
    )
    assert saved == published
    recorded = read_manifest(step).base
    assert recorded is not None
    assert recorded.uri == base


def test_a_run_with_adapters_that_was_stopped_ends_with_the_bits_of_one_that_was_not(
    pages: Path, base: str, tmp_path: Path
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run(whole, build_document(whole, pages, base))
    assert run(stopped, build_document(stopped, pages, base), stop_after=3).stopped
    assert not run(stopped, build_document(stopped, pages, base, attempt=2)).stopped
    results = [(folder / "published/adapter_model.safetensors").read_bytes() for folder in (whole, stopped)]
    assert results[0] == results[1]


def test_a_base_model_that_was_replaced_between_attempts_is_refused(pages: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    base = tmp_path / "base"
    workload = build_document(tmp_path, pages, write_base(base))
    run(tmp_path, workload, stop_after=2)
    weights = read_weights(base)
    next(weight for weight in weights.values() if weight.dim() == 2)[0, 0] += 1e-3
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigurationError, match=r"spec\.model\.uri: the base model has changed .*expected .*, found"):
        run(tmp_path, workload.updated(attempt=2))


def test_sharded_adapters_are_saved_in_parts_resumed_bit_by_bit_and_written_for_peft(
    pages: Path, base: str, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder, attempt, kill in ((whole, 1, None), (broken, 1, (1, 3)), (broken, 2, None)):
        document = build_document(folder, pages, base, attempt, sharding="full").to_json()
        rank = partial(rank_training.run_attempt, document, folder / "cache", kill=kill)
        assert (run_ranks(2, folder / "ranks", rank) == [0, 0]) is (kill is None)
    step = f"checkpoints/step-{STEPS}"
    assert {path.name for path in (broken / step / "shards").iterdir()} == {
        "index.json",
        "rank-0.safetensors",
        "rank-1.safetensors",
    }
    files = [f"{step}/model/adapter_model.safetensors", "published/adapter_model.safetensors"]
    found = [(folder / name).read_bytes() for folder in (whole, broken) for name in files]
    assert found == found[:1] * 4
