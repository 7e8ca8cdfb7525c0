"""Published adapters open with plain peft on the model that they were trained on."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from support.training.tiny_training import OCR2, VIT, build_model, build_samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from deepsynth_train.models.interface.page_model import PageModel

LORA = {"rank": 2, "alpha": 4}


def write_base(folder: Path, uri: str) -> str:
    from deepsynth_train.models.export import write_model

    write_model(build_model(uri), folder)
    return f"file://{folder}"


def train_adapters(base: str, targets: list[str]) -> PageModel:
    """Adapters with random weights: fresh ones change nothing."""
    import torch

    model = build_model(model={"uri": base, "lora": {**LORA, "target_modules": targets}}, image_processor={})
    for name, parameter in model.module.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def compute_logits(module: Any, model: PageModel) -> torch.Tensor:
    """Of the positions that predict a label: training does not mask the padding behind them."""
    import torch

    batch = model.family.collate(build_samples(model, 2))
    with torch.no_grad():
        logits: torch.Tensor = module.eval()(**model.family.prepare(batch.inputs)).logits
    return logits.flatten(0, 1)[batch.rows]


@pytest.mark.parametrize(
    ("uri", "targets", "tensors"),
    [
        (OCR2, ["q_proj", "k_proj", "v_proj", "o_proj"], 40),
        (OCR2, ["q_proj", "gate_proj", "up_proj", "down_proj", "lin1"], None),
        (VIT, ["c_attn", "q_proj"], None),
    ],
)
def test_peft_reads_every_tensor_and_computes_the_same_logits(
    uri: str, targets: list[str], tensors: int | None, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForImageTextToText

    from deepsynth_train.models.export import write_model

    base = write_base(tmp_path / "base", uri)
    model = train_adapters(base, targets)
    write_model(model, tmp_path / "adapter")
    trained = {name: value for name, value in model.module.state_dict().items() if "lora_" in name}
    assert len(load_file(tmp_path / "adapter/adapter_model.safetensors")) == len(trained)
    assert tensors in {None, len(trained)}
    recwarn.clear()
    opened = PeftModel.from_pretrained(
        AutoModelForImageTextToText.from_pretrained(tmp_path / "base"), str(tmp_path / "adapter")
    )
    assert not [str(warning.message) for warning in recwarn if "missing" in str(warning.message)]
    read = {name: value for name, value in opened.state_dict().items() if "lora_" in name}
    assert read.keys() == trained.keys()
    assert all(torch.equal(read[name], value) for name, value in trained.items())
    assert torch.equal(compute_logits(opened, model), compute_logits(model.module, model))


def test_adapters_of_a_model_on_the_hub_name_its_repository_and_commit(tmp_path: Path) -> None:
    from peft import LoraConfig, PeftConfig, get_peft_model

    from deepsynth_api.v1alpha1 import ModelSettings
    from deepsynth_train.models.export import write_model
    from deepsynth_train.models.loading import load_module, name_source

    model = build_model(VIT)
    base, _ = load_module(ModelSettings(uri=write_base(tmp_path / "base", VIT)))
    name_source(base, "hf://you/ocr", tmp_path / "snapshots" / "c0ffee")
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        module = get_peft_model(base, LoraConfig(target_modules=["q_proj"]))
    write_model(replace(model, module=module), tmp_path / "adapter")
    config = PeftConfig.from_pretrained(str(tmp_path / "adapter"))
    assert (config.base_model_name_or_path, config.revision) == ("you/ocr", "c0ffee")


def test_without_the_published_names_the_language_models_adapters_are_lost(tmp_path: Path) -> None:
    """Why adapters are renamed. When this fails, the libraries read both names, and renaming can go."""
    pytest.importorskip("peft.utils.transformers_weight_conversion", reason="older versions of peft rename nothing")
    from peft import get_peft_model_state_dict

    from deepsynth_train.models.files.adapter_file import _read_names

    module = train_adapters(write_base(tmp_path, OCR2), ["q_proj"]).module
    own = get_peft_model_state_dict(module)
    lost = own.keys() - _read_names(module, own)
    assert {name.split(".")[3] for name in lost} == {"language_model"}


def test_adapters_under_names_that_peft_reads_neither_way_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsynth_api.errors import InternalError
    from deepsynth_train.models.files import adapter_file

    module = train_adapters(write_base(tmp_path, OCR2), ["q_proj"]).module
    unread: Callable[..., Any] = lambda _module, tensors: list(tensors)[1:]  # noqa: E731
    monkeypatch.setattr(adapter_file, "_read_names", unread)
    with pytest.raises(InternalError, match="publish it merged"):
        adapter_file.choose_names(module, {"base_model.model.x.lora_A.weight": next(module.parameters())})
