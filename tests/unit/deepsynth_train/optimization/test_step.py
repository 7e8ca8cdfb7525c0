from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from support.training.tiny_training import OCR2, build_model, build_samples, build_settings, build_stepper

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.models.interface.page_model import PageModel

FROZEN: dict[str, Any] = {"model": {"uri": OCR2, "freeze": ["vision"]}}
CASES: dict[str, dict[str, Any]] = {
    "everything trained": {},
    "frozen vision": FROZEN,
    "adapters": {"model": {"uri": OCR2, "lora": {"targetModules": ["q_proj"]}}},
    "recomputed": {"gradient_checkpointing": True},
    "tiles": {**FROZEN, "image_processor": {"size": 64, "max_tiles": 2}},
}


def find_waits(model: PageModel, changes: dict[str, Any]) -> list[str]:
    """Of a step of two micro-batches, in which sequences are padded."""
    from deepsynth_train.optimization.sharding import place_module
    from deepsynth_train.optimization.step import Flags
    from support.training.host_waits import HostWaits
    from support.training.tiny_training import build_world

    settings = build_settings(**changes)
    place_module(model.module, settings, build_world())
    stepper = build_stepper(model, settings)
    model.module.train()
    samples = build_samples(model, 4)
    batches = [model.collate(samples[:2]), model.collate(samples[2:])]
    stepper.run(iter(batches), 2, 1e-3, Flags())  # the first step fills buffers
    waits = HostWaits()
    with waits:
        stepper.run(iter(batches), 2, 1e-3, Flags())
    return waits.found


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_a_step_waits_for_the_device_only_at_its_one_sum(changes: dict[str, Any]) -> None:
    assert find_waits(build_model(OCR2, **changes), changes) == [], "the sum is read as a list, which is not counted"


def test_a_step_with_cached_features_does_not_wait_either(tmp_path: Path) -> None:
    from deepsynth_train.features.store import FeatureStore
    from deepsynth_train.features.vision import StoredVision, cut_constant_vision

    model = build_model(OCR2, **FROZEN)
    cut, why = cut_constant_vision(model, build_settings(**FROZEN), nullcontext)
    assert cut is not None, why
    store = FeatureStore(tmp_path, "model", 2**30, pytest.fail)
    cached = replace(model, vision=StoredVision(model, cut, store, "fp32", nullcontext))
    assert find_waits(cached, FROZEN) == []


def test_a_wait_that_is_added_is_found() -> None:
    model = build_model(OCR2, **FROZEN)
    model.module.model.language_model.register_forward_hook(
        lambda _, __, output: float(output[0].detach().sum()) and None
    )
    (first, second) = find_waits(model, FROZEN)
    assert first.startswith("aten::_local_scalar_dense in test_step.py:")
    assert second == first
