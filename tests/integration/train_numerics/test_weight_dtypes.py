"""Weights are loaded as they are stored, trained in fp32, kept frozen in half of that, and published as stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.training.page_dataset import build_documents, write_dataset
from support.training.tiny_training import OCR2, VIT, build_model, build_settings, build_world

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.models.interface.page_model import PageModel


@pytest.fixture(scope="module")
def stored_in_bf16(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of a folder with the tiny model in bf16, as models of real size are published."""
    import torch

    folder = tmp_path_factory.mktemp("stored")
    model = build_model(OCR2)
    model.module.to(torch.bfloat16).save_pretrained(folder)
    model.processor.save_pretrained(folder)
    return f"file://{folder}"


def place(model: PageModel, **changes: Any) -> None:
    from deepsynth_train.optimization.sharding import place_module

    place_module(model.module, build_settings(**changes), build_world())


def list_dtypes(model: PageModel, *, trained: bool) -> set[str]:
    return {str(p.dtype) for p in model.module.parameters() if p.requires_grad == trained}


@pytest.mark.parametrize(
    ("precision", "frozen"), [("bf16", "torch.bfloat16"), ("fp16", "torch.bfloat16"), ("fp32", "torch.float32")]
)
def test_only_trained_weights_are_kept_in_fp32(stored_in_bf16: str, precision: str, frozen: str) -> None:
    model = build_model(model={"uri": stored_in_bf16, "lora": {"rank": 2, "alpha": 4}})
    place(model, precision=precision)
    assert list_dtypes(model, trained=True) == {"torch.float32"}
    assert list_dtypes(model, trained=False) == {frozen}


def test_frozen_weights_that_are_stored_in_fp32_become_bf16_too() -> None:
    model = build_model(model={"uri": OCR2, "freeze": ["vision"]})
    place(model, precision="bf16")
    assert list_dtypes(model, trained=True) == {"torch.float32"}
    assert list_dtypes(model, trained=False) == {"torch.bfloat16"}


@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_a_loss_with_frozen_weights_in_bf16_is_that_in_fp32_but_for_rounding(uri: str) -> None:
    import torch

    from deepsynth_train.optimization.loss import compute_loss_sum
    from deepsynth_train.optimization.precision import build_autocast
    from support.training.tiny_training import build_samples

    losses = []
    for precision in ("fp32", "bf16"):
        model = build_model(uri, model={"uri": uri, "freeze": ["vision"]})
        place(model, precision=precision)
        autocast = build_autocast(precision, torch.device("cpu"))
        loss = compute_loss_sum(model, model.family.collate(build_samples(model, 2)), autocast)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
        losses.append(float(loss.detach()))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_trained_model_is_published_in_the_dtype_of_its_base(stored_in_bf16: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForImageTextToText

    from deepsynth_train.models.export import write_model

    model = build_model(model={"uri": stored_in_bf16})
    place(model, precision="bf16")
    assert list_dtypes(model, trained=True) == {"torch.float32"}
    write_model(model, tmp_path)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    assert AutoModelForImageTextToText.from_pretrained(tmp_path, dtype="auto").dtype == torch.bfloat16
    assert next(model.module.parameters()).dtype == torch.float32, "writing must not change the model in training"


@pytest.mark.slow
def test_a_run_on_a_frozen_base_in_bf16_trains_its_adapters_and_resumes(
    stored_in_bf16: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsynth_train import TrainConfig, Trainer
    from support.training.tiny_training import Recorder

    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(6)})
    config = TrainConfig.model_validate(
        {
            "model": {"uri": stored_in_bf16, "lora": {"rank": 4, "alpha": 8}},
            "precision": "bf16",
            "image_processor": {"size": 64},
            "checkpoint": {"uri": f"file://{tmp_path}/checkpoints", "every_steps": 2},
            "optimizer": {"learning_rate": "0.01", "schedule": "constant"},
            "global_batch_size": 6,
            "max_steps": 4,
        }
    )
    recorder = Recorder()
    Trainer(config, pages, progress=recorder).train()
    losses = [report.loss for report in recorder.steps]
    assert losses[-1] < losses[0]
    again = Recorder()
    Trainer(config, pages, progress=again).train()
    assert again.started.resumed_from_step == 4
