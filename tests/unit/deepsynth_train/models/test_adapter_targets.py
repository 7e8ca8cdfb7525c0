from __future__ import annotations

from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_training import OCR2, VIT, build_model

NO_DROPOUT: dict[str, Any] = {"dropout": "0"}


def list_adapted(uri: str = OCR2, freeze: tuple[str, ...] = (), **lora: Any) -> set[str]:
    """Names of the layers with adapters, without numbers: language_model.layers.self_attn.q_proj."""
    model = build_model(uri, model={"uri": uri, "freeze": list(freeze), "lora": {"rank": 2, "alpha": 4, **lora}})
    names = [name for name, parameter in model.module.named_parameters() if parameter.requires_grad]
    assert all("lora_" in name for name in names), "only adapters are trained"
    found = set()
    for name in names:
        layer = name.partition(".lora_")[0].removeprefix("base_model.model.").removeprefix("model.")
        found.add(".".join(part for part in layer.split(".") if not part.isdigit() and part != "base_layer"))
    return found


ATTENTION = {f"layers.self_attn.{name}_proj" for name in "qkvo"}
VISION = {f"vision_tower.vision_encoder.{name}" for name in ATTENTION}
LANGUAGE = {f"language_model.{name}" for name in ATTENTION}


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [((), VISION | LANGUAGE), (("vision",), LANGUAGE), (("language",), VISION)],
    ids=["nothing", "vision", "language"],
)
def test_a_frozen_part_gets_no_adapters(freeze: tuple[str, ...], expected: set[str]) -> None:
    assert list_adapted(freeze=freeze) == expected


def test_the_defaults_select_the_attention_of_an_encoder_decoder() -> None:
    cross = {f"decoder.transformer.h.crossattention.{name}" for name in ("q_attn", "c_attn", "c_proj")}
    own = {f"decoder.transformer.h.attn.{name}" for name in ("c_attn", "c_proj")}
    vision = {f"encoder.layers.attention.{name}_proj" for name in "qkvo"}
    assert list_adapted(VIT) == vision | own | cross


def test_a_pattern_selects_within_a_part_without_its_output_layer() -> None:
    mlp = {f"language_model.layers.mlp.{name}_proj" for name in ("gate", "up", "down")}
    shared = {f"language_model.layers.mlp.shared_experts.{name}_proj" for name in ("gate", "up", "down")}
    found = list_adapted(target_modules=["language.*"], **NO_DROPOUT)
    assert found == LANGUAGE | mlp | shared | {"language_model.layers.mlp.experts"}
    assert list_adapted(target_modules=["*.shared_experts.*", "lm_head"]) == shared | {"lm_head"}


def test_a_pattern_selects_layers_of_an_encoder_decoder_but_none_without_a_gradient() -> None:
    found = list_adapted(VIT, target_modules=["*"])
    assert "decoder.transformer.h.crossattention.q_attn" in found
    assert "encoder.layers.mlp.fc1" in found
    assert "encoder.pooler.dense" not in found


@pytest.mark.parametrize("name", ["experts", "*.experts"])
def test_routed_experts_are_selected_by_the_name_of_their_layer(name: str) -> None:
    assert list_adapted(target_modules=[name], **NO_DROPOUT) == {"language_model.layers.mlp.experts"}


@pytest.mark.parametrize(
    ("freeze", "lora", "message"),
    [
        ((), {"target_modules": ["q_proj", "w_pack"]}, r"targetModules: no layer of the model matches 'w_pack'; .*qkv"),
        (("vision",), {"target_modules": ["qkv"]}, r"targetModules: no layer outside .* \(vision\) matches qkv"),
        ((), {"target_modules": ["norm"]}, r"targetModules: .*is not supported"),
        ((), {"target_modules": ["*"], "use_dora": True, **NO_DROPOUT}, r"useDora: must be false"),
    ],
)
def test_targets_that_cannot_be_adapted_are_refused_by_their_field(
    freeze: tuple[str, ...], lora: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"spec\.model\.lora\.{message}"):
        list_adapted(freeze=freeze, **lora)
