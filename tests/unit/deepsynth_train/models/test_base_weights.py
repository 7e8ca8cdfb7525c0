"""Which weights of a model are quantised, and what does not go together with it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_training import OCR2, VIT, build_model, build_settings

if TYPE_CHECKING:
    from pathlib import Path

    import torch

QLORA = {"lora": {"rank": 4, "dropout": "0"}, "quantize": "nf4"}


def list_quantised(module: Any) -> set[str]:
    from deepsynth_train.models.quantization.four_bit import FourBitTensor

    return {
        name.replace(".base_layer", "").removeprefix("base_model.model.")
        for name, parameter in module.named_parameters()
        if isinstance(parameter, FourBitTensor)
    }


def write_base(folder: Path, uri: str = OCR2) -> str:
    from deepsynth_train.models.export import write_model

    write_model(build_model(uri), folder)
    return f"file://{folder}"


def test_linear_layers_and_experts_of_the_language_part_are_quantised() -> None:
    names = list_quantised(build_model(OCR2, model={"uri": OCR2, **QLORA}).module)
    assert {name.split(".")[1] for name in names} == {"language_model"}
    kinds = {".".join(name.split(".")[4:]) for name in names if ".layers.1." in name}
    attention = {f"self_attn.{letter}_proj.weight" for letter in "qkvo"}
    shared = {f"mlp.shared_experts.{name}_proj.weight" for name in ("gate", "up", "down")}
    assert kinds == {*attention, *shared, "mlp.experts.gate_up_proj", "mlp.experts.down_proj"}


def test_the_layers_of_gpt_2_are_quantised() -> None:
    names = list_quantised(build_model(VIT, model={"uri": VIT, **QLORA}).module)
    assert all(name.startswith("decoder.") for name in names)
    assert "decoder.transformer.h.1.mlp.c_fc.weight" in names


def test_weights_are_quantised_one_by_one_as_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deepsynth_train.models import base_weights
    from deepsynth_train.models.quantization.four_bit import quantise

    uri = write_base(tmp_path)
    whole: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def watch(weight: torch.Tensor) -> torch.Tensor:
        if not weight.is_meta:
            alive.append(sum(reference() is not None for reference in whole))
            whole.append(weakref.ref(weight))
        return quantise(weight)

    monkeypatch.setattr(base_weights, "quantise", watch)
    model = build_model(model={"uri": uri, **QLORA}, image_processor={})
    assert len(alive) == len(list_quantised(model.module))
    assert max(alive) <= 1  # the weight before, until the library drops it
    assert not hasattr(model.module.config, "quantization_config")


def test_a_model_from_files_equals_the_one_that_is_quantised_in_memory(tmp_path: Path) -> None:
    import torch

    read, built = (
        build_model(model={"uri": uri, **QLORA}, image_processor={"size": 64} if uri == OCR2 else {}).module
        for uri in (write_base(tmp_path), OCR2)
    )
    assert list_quantised(read) == list_quantised(built)
    others = dict(built.named_parameters())
    for name, parameter in read.named_parameters():
        if "lora_" not in name:
            assert torch.equal(parameter + 0, others[name] + 0), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"uri": OCR2, "quantize": "nf4"}}, "requires spec.model.lora"),
        ({"model": {"uri": OCR2, **QLORA}, "sharding": "full"}, "set spec.sharding: none"),
        ({"model": {"uri": OCR2, **QLORA}, "compile": True}, "set spec.compile: false"),
    ],
)
def test_what_does_not_go_together_is_refused_by_field(changes: dict[str, Any], message: str) -> None:
    from deepsynth_train.models.base_weights import check_quantization

    with pytest.raises(ConfigurationError, match=rf"spec\.model\.quantize: .*{message}"):
        check_quantization(build_settings(**changes))


def test_rslora_and_dora_work_on_4_bit_weights() -> None:
    import torch

    lora = {"rank": 4, "dropout": "0", "useDora": True, "useRslora": True}
    model = build_model(OCR2, model={"uri": OCR2, "lora": lora, "quantize": "nf4"})
    assert list_quantised(model.module)
    assert all(torch.isfinite(p).all() for p in model.module.parameters() if p.requires_grad)
