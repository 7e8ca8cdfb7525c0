"""Whole runs with a base in 4 bits and moments in 8 bits, as a user starts them from Python."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.train_python.own_pages import write_pages
from support.training.tiny_training import OCR2, build_model

if TYPE_CHECKING:
    import torch

    from deepsynth_train import TrainOutput


pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's use of it


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with pages in my-pages and a model in base."""
    from deepsynth_train.models.export import write_model

    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_pages(tmp_path / "my-pages")
    write_model(build_model(OCR2), tmp_path / "base")
    return tmp_path


def train(checkpoint: str, *, stop_at: int | None = None, quantize: str | None = "nf4", **changes: Any) -> TrainOutput:
    from deepsynth_train import TrainConfig, Trainer

    def stop(report: Any) -> None:
        if report.step == stop_at:
            signal.raise_signal(signal.SIGINT)

    settings = {
        "task": "ocr",
        "max_steps": 6,
        "global_batch_size": 4,
        "micro_batch_size": 2,
        "precision": "bf16",
        "checkpoint": checkpoint,
        "optimizer": {"type": "adamw8bit", "learning_rate": 0.01},
        "image_processor": {"size": 64},
        "evaluation": {"samples": 0},
        **changes,
    }
    model = {"uri": "base", "lora": {"rank": 16}, **({"quantize": quantize} if quantize else {})}
    config = TrainConfig(model=model, **settings)
    return Trainer(config, "my-pages", callbacks=[stop], progress="none").train()


def read_losses(result: TrainOutput) -> list[float]:
    return [line["loss"] for line in result.history if "loss" in line]


def read_adapters(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


@pytest.mark.slow
def test_a_run_learns_like_one_with_the_base_in_bf16() -> None:
    losses = read_losses(train("nf4"))
    assert losses[-1] < losses[0] - 0.2
    assert losses == pytest.approx(read_losses(train("bf16", quantize=None)), rel=0.02)


def test_an_interrupted_run_ends_with_the_same_bits_and_its_adapters_open_with_plain_peft() -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    publish = {"uri": "published", "format": "adapter"}
    whole = train("whole", publish={**publish, "uri": "other"})
    assert train("cut", stop_at=3, publish=publish).stopped
    resumed = train("cut", publish=publish)
    assert read_losses(resumed) == read_losses(whole)
    found, expected = read_adapters(Path("published")), read_adapters(Path("other"))
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    base: Any = AutoModelForImageTextToText.from_pretrained("base")
    opened = PeftModel.from_pretrained(base, "published")
    read = {name: value for name, value in opened.state_dict().items() if "lora_" in name}
    assert len(read) == len(found)
    assert any(value.abs().sum() > 0 for name, value in read.items() if "lora_B" in name)


def test_a_merged_model_is_the_original_base_with_the_adapters_added() -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    models: Any = AutoModelForImageTextToText
    result = train("run")
    assert result.output is not None
    merged = models.from_pretrained("run/model")
    adapted: Any = PeftModel.from_pretrained(models.from_pretrained("base"), "run/step-6/model")
    expected = adapted.merge_and_unload().state_dict()
    assert not hasattr(merged.config, "quantization_config")
    for name, weight in merged.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_a_base_that_changed_is_not_merged_into() -> None:
    from deepsynth_api.errors import ConfigurationError
    from deepsynth_train.models.adapters import merge_into_stored_base
    from deepsynth_train.models.export import write_model
    from support.training.tiny_training import build_settings

    settings: dict[str, Any] = {
        "model": {"uri": f"file://{Path('base').absolute()}", "lora": {"rank": 4}, "quantize": "nf4"}
    }
    model = build_model(**settings)
    other = build_model(OCR2, seed=1)
    write_model(other, Path("base"))
    with pytest.raises(ConfigurationError, match=r"has changed since the start, so adapters cannot be merged"):
        merge_into_stored_base(model.module, {}, build_settings(**settings))
