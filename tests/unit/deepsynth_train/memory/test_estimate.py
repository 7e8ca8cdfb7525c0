"""The estimate is held to the same step with real tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.training.tiny_training import OCR2, VIT, build_settings, build_world

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.memory.estimate import MemoryEstimate

CASES = {
    "full": {},
    "bf16": {"precision": "bf16"},
    "adapters": {"model": {"uri": OCR2, "lora": {"rank": 4, "alpha": 8}}, "precision": "bf16"},
    "adapters on 4 bits": {
        "model": {"uri": OCR2, "lora": {"rank": 4, "alpha": 8}, "quantize": "nf4"},
        "optimizer": {"type": "adamw8bit"},
        "precision": "bf16",
    },
    "frozen vision": {"model": {"uri": OCR2, "freeze": ["vision"]}, "precision": "bf16"},
    "recomputed": {"gradient_checkpointing": True},
    "two samples": {"micro_batch_size": 2, "precision": "bf16"},
    "tiles": {"image_processor": {"size": 64, "max_tiles": 6}},
    "encoder-decoder": {"model": {"uri": VIT}, "precision": "bf16"},
}


def estimate(settings: Any, *, gpus: int = 1) -> MemoryEstimate:
    from deepsynth_train.memory.estimate import estimate_memory

    samples = settings.micro_batch_size
    return estimate_memory(settings, samples=samples, gpus=gpus, pages=1, label_tokens=300)


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_an_estimate_is_what_a_step_with_real_tensors_takes(changes: dict[str, Any]) -> None:
    from deepsynth_train.memory.estimate import build_batch, measure_step
    from deepsynth_train.models.build import build_page_model
    from deepsynth_train.optimization.sharding import place_module

    settings = build_settings(changes.get("model", {"uri": OCR2})["uri"], **changes)
    model = build_page_model(settings)
    place_module(model.module, settings, build_world())
    model.module.train()
    batch = build_batch(model, int(settings.micro_batch_size), 1, 300)
    if "attention_mask" in batch.inputs:  # without padding the library saves the mask, which an estimate cannot know
        batch.inputs["attention_mask"][0, -1] = 0
    real = measure_step(model, settings, batch, gpus=1)
    found = estimate(settings)
    assert (found.trained, found.frozen) == (real.trained, real.frozen)
    assert found.trained_bytes == real.trained_bytes
    assert found.frozen_bytes == real.frozen_bytes
    assert found.activation_bytes == pytest.approx(real.activation_bytes, rel=0.02)


def test_the_optimizer_and_gradients_count_only_trained_weights_in_fp32() -> None:
    found = estimate(build_settings(model={"uri": OCR2, "freeze": ["vision"]}, precision="bf16"))
    assert found.trained_bytes == found.gradient_bytes == 4 * found.trained
    assert found.optimizer_bytes == 8 * found.trained
    assert found.frozen_bytes == 2 * found.frozen


def test_recomputing_activations_takes_less_memory() -> None:
    plain, recomputed = (estimate(build_settings(gradient_checkpointing=on)) for on in (False, True))
    assert recomputed.activation_bytes < plain.activation_bytes


def test_sharding_divides_weights_gradients_and_optimizer_and_gathers_layers() -> None:
    whole, shared = (
        estimate(build_settings(sharding=sharding, precision="bf16"), gpus=4) for sharding in ("none", "full")
    )
    assert shared.trained_bytes == whole.trained_bytes // 4
    assert shared.optimizer_bytes == whole.optimizer_bytes // 4
    assert whole.gathered_bytes == 0 < shared.gathered_bytes < whole.trained_bytes


def test_no_weights_are_read(tmp_path: Path) -> None:
    from deepsynth_train.models.export import write_model
    from support.training.tiny_training import build_model

    write_model(build_model(OCR2), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    found = estimate(build_settings(model={"uri": f"file://{tmp_path}"}, image_processor={}))
    assert found.trained > 200_000


def test_a_model_whose_layers_read_their_inputs_is_refused(tmp_path: Path) -> None:
    from deepsynth_api.errors import ConfigurationError
    from support.training.tiny_families import FAMILIES

    for part in FAMILIES["lighton_ocr"]():
        part.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"spec.model.uri: the memory of lighton_ocr cannot be estimated"):
        estimate(build_settings(model={"uri": f"file://{tmp_path}"}, image_processor={}))
