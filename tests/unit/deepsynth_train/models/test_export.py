"""What is written of a model, and where it may be published: never over a user's other files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_training import OCR2, VIT, build_model, build_settings, draw_noise


def check(target: Path, checkpoints: Path = Path("/nowhere")) -> None:
    from deepsynth_train.models.export import check_publish_folder

    publish = {"uri": f"file://{target}"}
    check_publish_folder(build_settings(publish=publish, checkpoint={"uri": f"file://{checkpoints}"}))


def test_a_new_an_empty_and_a_published_folder_can_be_published_to(tmp_path: Path) -> None:
    check(tmp_path / "new")
    check(tmp_path)
    (tmp_path / "deepsynth.json").touch()
    (tmp_path / "model.safetensors").touch()
    check(tmp_path)


def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigurationError, match=r"spec\.publish\.uri: .* publishing deletes what is there"):
        check(tmp_path)
    with pytest.raises(ConfigurationError, match="must be new, empty"):
        check(tmp_path / "thesis.tex")


def test_the_folder_of_the_checkpoints_is_never_replaced(tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "runs"):
        with pytest.raises(ConfigurationError, match="must not contain the folder of"):
            check(target, checkpoints=tmp_path / "runs")
    check(tmp_path / "runs/published", checkpoints=tmp_path / "runs")


def test_the_root_of_a_volume_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is the root of a volume"):
        check(Path("/proc"))


def test_tied_weights_are_written_once_in_another_dtype_and_stay_tied(tmp_path: Path) -> None:
    import numpy as np
    import torch
    from safetensors import safe_open
    from transformers import AutoModelForImageTextToText

    from deepsynth_train.models.export import write_model

    model = replace(build_model(VIT), stored_dtype=torch.bfloat16)
    write_model(model, tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert len(names) == len(model.module.state_dict()) - 1
    assert "decoder.lm_head.weight" not in names
    models: Any = AutoModelForImageTextToText
    opened, report = models.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    pages = model.family.prepare(dict(model.family.build_prompt([draw_noise(np.random.default_rng(0))]).tensors))
    inputs = {"pixel_values": pages["pixel_values"].bfloat16(), "decoder_input_ids": torch.tensor([[0, 5, 6]])}
    assert next(model.module.parameters()).dtype == torch.float32, "the model itself was cast"
    with torch.no_grad():
        assert torch.equal(opened(**inputs).logits, model.module.eval().bfloat16()(**inputs).logits)


def test_weights_are_cast_one_after_the_other() -> None:
    import torch

    from deepsynth_train.models.export import cast_weights

    shared = torch.ones(4)
    weights = {"a": shared, "b": torch.zeros(2, dtype=torch.int64), "c": shared.view(4), "d": torch.ones(4)}
    cast_weights(weights, torch.bfloat16)
    assert [weight.dtype for weight in weights.values()] == [torch.bfloat16, torch.int64, *[torch.bfloat16] * 2]
    assert weights["a"].data_ptr() == weights["c"].data_ptr() != weights["d"].data_ptr()


def test_adapters_of_random_weights_are_not_published(tmp_path: Path) -> None:
    from deepsynth_train.models.export import check_publish_format

    publish = {"uri": f"file://{tmp_path}/reader", "format": "adapter"}
    lora = {"rank": 2, "alpha": 4}
    with pytest.raises(
        ConfigurationError, match=r"^spec.publish.format: adapters need their base, and the random .* me"
    ):
        check_publish_format(build_settings(publish=publish, model={"uri": OCR2, "lora": lora}))
    check_publish_format(build_settings(publish=publish, model={"uri": "hf://me/base", "lora": lora}))
    check_publish_format(build_settings(publish={**publish, "format": "merged"}, model={"uri": OCR2, "lora": lora}))
