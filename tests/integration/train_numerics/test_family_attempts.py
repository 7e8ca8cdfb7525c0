"""A whole training run for each kind of family: pages of several sizes, evaluation by generation, resume, export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.training.page_dataset import build_document, draw_noise, write_dataset
from support.training.tiny_encoder_decoders import ENCODER_DECODERS
from support.training.tiny_families import FAMILIES
from support.training.tiny_training import OCR2, Recorder, read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train import TrainConfig, TrainOutput

SIZES = [(64, 64), (64, 130), (200, 90)]
STEPS = 4
FOLDERS = ["qwen2_5_vl", "qwen3_vl", "smolvlm", "internvl", "idefics3", "paddleocr_vl", "donut", "deepseek_ocr1"]
"""Loaded from a folder. Families that are not named are like one of these to the trainer."""


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))


def write_pages(folder: Path, *, pages: int) -> Path:
    """Documents of up to `pages` pages, each page of another size."""

    def build(number: int) -> list[Any]:
        rows = build_document(number, 1 + number % pages)
        for page, row in enumerate(rows):
            row["image"] = {"bytes": draw_noise(100 * number + page, SIZES[(number + page) % 3]), "path": None}
        return rows

    splits = {"train": range(6), "validation": range(20, 24)}
    return write_dataset(folder, {split: [r for n in numbers for r in build(n)] for split, numbers in splits.items()})


def write_model_folder(name: str, folder: Path) -> str:
    import torch

    if name == "deepseek_ocr1":
        from integration.train_numerics.test_deepseek_ocr1 import write_original  # skips where the library is older

        write_original(folder)
        return f"file://{folder}"
    torch.manual_seed(0)
    module, processor = {**FAMILIES, **ENCODER_DECODERS}[name]()
    module.save_pretrained(folder)
    processor.save_pretrained(folder)
    return f"file://{folder}"


def build_config(folder: Path, uri: str, **image_processor: Any) -> TrainConfig:
    from deepsynth_train import TrainConfig

    return TrainConfig.model_validate(
        {
            "model": {"uri": uri},
            "precision": "fp32",
            "image_processor": image_processor,
            "checkpoint": {"uri": f"file://{folder}/checkpoints"},
            "optimizer": {"learning_rate": "0.003"},
            "global_batch_size": 2,
            "micro_batch_size": 2,
            "max_steps": STEPS,
            "evaluation": {"metrics": ["loss", "cer"], "max_new_tokens": 3, "every_steps": STEPS},
        }
    )


def train(config: TrainConfig, pages: Path, recorder: Recorder, *, stop_after: int | None = None) -> TrainOutput:
    from deepsynth_train import Trainer

    trainer = Trainer(config, pages, progress=recorder)
    if stop_after is not None:
        recorder.on_step = lambda report: trainer.stop() if report.step == stop_after else None
    return trainer.train()


@pytest.mark.parametrize("name", [*FOLDERS, "tiles"])
def test_a_run_that_was_stopped_ends_with_the_same_weights_and_a_model_that_opens(name: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    pages = write_pages(tmp_path / "pages", pages=1 if name in ENCODER_DECODERS else 3)
    uri = OCR2 if name == "tiles" else write_model_folder(name, tmp_path / "model")
    images = {"size": 64, "max_tiles": 6} if name == "tiles" else {"size": 64} if name == "deepseek_ocr1" else {}
    whole = Recorder()
    result = train(build_config(tmp_path / "whole", uri, **images), pages, whole)
    assert (result.step, result.stopped) == (STEPS, False)
    assert whole.started.dropped == ()
    assert set(whole.evaluations) == {0, STEPS}
    assert all(report.loss > 0 for report in whole.steps)
    config = build_config(tmp_path / "parts", uri, **images)
    part = train(config, pages, Recorder(), stop_after=2)
    assert part.stopped
    again = Recorder()
    train(config, pages, again)
    assert again.started.resumed_from_step == part.step
    whole_weights, weights = (read_weights(tmp_path / run / "checkpoints" / "model") for run in ("whole", "parts"))
    assert all(torch.equal(weight, whole_weights[key]) for key, weight in weights.items())
    assert whole.evaluations[STEPS] == again.evaluations[STEPS]
    models: Any = AutoModelForImageTextToText
    processors: Any = AutoProcessor
    models.from_pretrained(tmp_path / "whole/checkpoints/model")
    processors.from_pretrained(tmp_path / "whole/checkpoints/model")
