from typing import Any

import pytest

from deepsynth_train.models.adapters import describe_adapters
from support.training.tiny_training import OCR2, VIT, build_model, build_settings


def describe(uri: str = VIT, freeze: tuple[str, ...] = (), **lora: Any) -> list[str]:
    changes = {"model": {"uri": uri, "freeze": list(freeze), "lora": {"rank": 2, "alpha": 4, **lora}}}
    settings = build_settings(uri, **changes)
    return list(describe_adapters(build_model(uri, **changes), settings.model))


@pytest.mark.parametrize(
    ("lora", "freeze", "expected"),
    [
        ({}, (), "adapters have 5,376 weights to train: vision 2,048 in 8 layers, language 3,328 in 10 layers"),
        ({}, ("vision",), "adapters have 3,328 weights to train: language 3,328 in 10 layers"),
        (
            {"target_modules": ["c_fc"]},
            (),
            "adapters have 1,280 weights to train: language 1,280 in 2 layers, vision none",
        ),
    ],
    ids=["both", "frozen", "none"],
)
def test_a_note_says_how_many_weights_each_part_trains(
    lora: dict[str, Any], freeze: tuple[str, ...], expected: str
) -> None:
    assert describe(freeze=freeze, **lora) == [expected]


def test_adapters_of_routed_experts_and_of_the_projector_are_counted() -> None:
    targets = ["experts", "multi_modal_projector"]
    (note,) = describe(OCR2, target_modules=targets, dropout="0")
    assert note.endswith("weights to train: other 192 in 1 layer, language 3,584 in 2 layers, vision none")


def test_a_note_warns_when_the_language_part_has_no_adapters() -> None:
    _, warning = describe(target_modules=["q_proj"])
    assert warning == (
        "spec.model.lora.targetModules: the language part gets no adapters, so it is not trained; to train it, add "
        "some of its layers: c_attn, c_fc, c_proj, q_attn"
    )
    assert len(describe(target_modules=["q_proj"], freeze=("language",))) == 1


def test_a_model_without_adapters_has_no_note() -> None:
    settings = build_settings(VIT)
    assert list(describe_adapters(build_model(VIT), settings.model)) == []


def test_dropout_applies_to_all_adapters_but_those_of_routed_experts() -> None:
    from peft.tuners.lora.layer import LoraLayer, ParamWrapper
    from torch import nn

    from deepsynth_train.models.build import build_page_model

    settings = build_settings(model={"uri": OCR2, "lora": {"target_modules": ["language.*"], "dropout": "0.25"}})
    model = build_page_model(settings)
    adapters = [part for part in model.module.modules() if isinstance(part, LoraLayer)]
    layers = [part for part in adapters if not isinstance(part, ParamWrapper)]
    assert 0 < len(layers) < len(adapters)
    rates = {drop.p for part in layers for drop in part.lora_dropout.values() if isinstance(drop, nn.Dropout)}
    assert rates == {0.25}
    assert model.module.peft_config["default"].lora_dropout == 0, "peft would refuse to open what is published"
    notes = list(describe_adapters(model, settings.model))
    assert any("spec.model.lora.dropout: applies to all adapters but those of routed experts" in note for note in notes)
