"""A model folder is loaded whole and right, or refused with the field and the file."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.torch import load_file, save_file

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import ModelSettings
from support.training.tiny_training import OCR2, VIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

WEIGHTS = "model.safetensors"


def load(uri: str) -> tuple[Any, Any]:
    from deepsynth_train.models.loading import load_module

    return load_module(ModelSettings(uri=uri))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each tiny model."""
    folders = {}
    for uri in (OCR2, VIT):
        folders[uri] = tmp_path_factory.mktemp("model")
        for part in load(uri):
            part.save_pretrained(folders[uri])
    return folders


@pytest.fixture
def ocr2(saved: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(saved[OCR2], tmp_path / "ocr2")


@pytest.fixture
def vit(saved: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(saved[VIT], tmp_path / "vit")


def change_json(path: Path, **changes: Any) -> None:
    """None removes a key."""
    document = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, {"format": "pt"})


def refuse(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(f"file://{folder}")
    assert caught.value.exit_code == 64
    assert caught.value.message.startswith("spec.model.uri: ")
    return caught.value.message


@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_a_saved_model_is_loaded_with_its_own_weights(uri: str, saved: dict[str, Path]) -> None:
    import torch

    module, processor = load(f"file://{saved[uri]}")
    own = load_file(saved[uri] / WEIGHTS)
    assert type(module).__name__ in {"DeepseekOcr2ForConditionalGeneration", "VisionEncoderDecoderModel"}
    again = saved[uri].with_name(f"{saved[uri].name}-again")
    module.save_pretrained(again)
    assert all(torch.equal(value, own[name]) for name, value in load_file(again / WEIGHTS).items())
    assert processor.tokenizer.pad_token == "<pad>"


def test_loading_shows_no_bar_and_leaves_the_setting_of_the_library(
    vit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging

    assert logging.is_progress_bar_enabled()
    load(f"file://{vit}")
    assert "Loading weights" not in capsys.readouterr().err
    assert logging.is_progress_bar_enabled()


def test_weights_of_another_prefix_are_refused_with_names_and_counts(ocr2: Path) -> None:
    change_weights(ocr2, lambda weights: {f"student.{name}": value for name, value in weights.items()})
    message = refuse(ocr2)
    assert re.search(
        r"; \d\d+ missing from the files: lm_head.weight, model\..*, \.\.\.; \d\d+ unknown to the model: stud", message
    )
    assert message.count("student.") == 5


def test_a_missing_weight_is_refused_by_its_name(ocr2: Path) -> None:
    change_weights(ocr2, lambda weights: {name: value for name, value in weights.items() if "lm_head" not in name})
    assert "do not fit its config.json; 1 missing from the files: lm_head.weight; name a model" in refuse(ocr2)


def test_a_weight_too_many_is_refused_by_its_name(vit: Path) -> None:
    change_weights(vit, lambda weights: {**weights, "decoder.extra": weights["decoder.transformer.wpe.weight"].clone()})
    assert "; 1 unknown to the model: decoder.extra; " in refuse(vit)


def test_a_weight_of_another_shape_is_refused_with_both_shapes(ocr2: Path) -> None:
    change_weights(ocr2, lambda weights: {**weights, "lm_head.weight": weights["lm_head.weight"][:9].clone()})
    assert "1 of another shape: lm_head.weight (file (9, 64), model (260, 64));" in refuse(ocr2)


def test_a_weight_that_is_tied_to_another_may_be_missing(vit: Path) -> None:
    change_json(vit / "config.json", tie_word_embeddings=True)
    config = json.loads((vit / "config.json").read_text())
    change_json(vit / "config.json", decoder={**config["decoder"], "tie_word_embeddings": True})
    change_weights(vit, lambda weights: {name: value for name, value in weights.items() if "lm_head" not in name})
    module, _ = load(f"file://{vit}")
    assert module.decoder.lm_head.weight is module.decoder.transformer.wte.weight


def test_a_vit_without_its_pooler_is_accepted(vit: Path) -> None:
    change_weights(vit, lambda weights: {name: value for name, value in weights.items() if "pooler" not in name})
    load(f"file://{vit}")


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.001, 0.5, 0.999])
def test_a_cut_file_of_weights_is_refused_by_its_name(share: float, ocr2: Path) -> None:
    content = (ocr2 / WEIGHTS).read_bytes()
    (ocr2 / WEIGHTS).write_bytes(content[: int(len(content) * share)])
    message = refuse(ocr2)
    assert f"model.safetensors of file://{ocr2} is " in message
    assert message.endswith("copy it again")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 13600000000\n"


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs_is_named_as_such(name: str, ocr2: Path) -> None:
    (ocr2 / name).write_bytes(POINTER)
    assert f"{name} of file://{ocr2} is a pointer of Git LFS, not the file; run `git lfs pull` there" in refuse(ocr2)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "processor_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"<html>", b"\xff\xfe", b"[" * 100_000, b"[]"])
def test_a_file_that_is_not_json_is_refused_by_its_name(name: str, content: bytes, ocr2: Path) -> None:
    (ocr2 / name).write_bytes(content)
    assert refuse(ocr2).startswith(f"spec.model.uri: {name} of file://{ocr2} ")


def test_a_folder_without_a_tokenizer_is_refused(ocr2: Path) -> None:
    (ocr2 / "tokenizer.json").unlink()
    assert "has no tokenizer; add one of tokenizer.json, " in refuse(ocr2)


def test_a_folder_without_an_image_processor_is_refused(ocr2: Path) -> None:
    (ocr2 / "processor_config.json").unlink()
    assert "has no settings of an image processor; add one of processor_config.json, " in refuse(ocr2)


def test_a_folder_without_weights_is_refused_and_pickles_are_not_read(ocr2: Path) -> None:
    (ocr2 / WEIGHTS).unlink()
    assert refuse(ocr2).endswith(" has no model.safetensors; add it")
    (ocr2 / "pytorch_model.bin").write_bytes(b"\x80\x04")
    assert refuse(ocr2).endswith("; convert pytorch_model.bin to it, since pickle files can run code")


def test_a_missing_part_of_split_weights_is_refused_by_its_name(ocr2: Path) -> None:
    parts = {"lm_head.weight": "model-00001-of-00002.safetensors", "model.x": "model-00002-of-00002.safetensors"}
    (ocr2 / WEIGHTS).rename(ocr2 / "model-00001-of-00002.safetensors")
    (ocr2 / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    assert "lacks model-00002-of-00002.safetensors, which model.safetensors.index.json names" in refuse(ocr2)


def test_an_adapter_without_its_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/base"}))
    assert "holds only an adapter of someone/base; merge it" in refuse(tmp_path)


def test_a_model_with_code_of_its_own_is_refused_at_once_naming_what_to_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: Any) -> str:
        raise AssertionError("asked on stdin")

    monkeypatch.setattr("builtins.input", ask)
    official = {
        "model_type": "deepseek_vl_v2",
        "architectures": ["DeepseekOCR2ForCausalLM"],
        "auto_map": {"AutoModel": "modeling_deepseekocr2.DeepseekOCR2ForCausalLM"},
    }
    (tmp_path / "config.json").write_text(json.dumps(official))
    assert refuse(tmp_path).endswith(
        "needs Python code of its own, which is never run; use hf://deepseek-community/DeepSeek-OCR-2"
    )
    change_json(tmp_path / "config.json", architectures=["Other"])
    assert refuse(tmp_path).endswith("use a repository of the model in the format of transformers")


@pytest.mark.parametrize("kind", ["bert", "llama", None])
def test_an_unsupported_type_is_refused_naming_what_to_use(kind: str | None, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    message = refuse(tmp_path)
    assert f"has model_type {kind!r}, which reads no pages; use a model that AutoModelForImageTextToText" in message
    assert message.endswith("such as Qwen3-VL or DeepSeek-OCR-2")


def test_a_type_that_the_library_does_not_know_is_refused_naming_its_release(tmp_path: Path) -> None:
    from transformers import __version__

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    expected = f"has model_type 'no_such_model', which transformers {__version__} does not know; use a model that"
    assert expected in refuse(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "unlimited_ocr"},
        {
            "model_type": "deepseek_vl_v2",
            "architectures": ["DeepseekOCRForCausalLM"],
            "auto_map": {"AutoModel": "modeling_deepseekocr.DeepseekOCRForCausalLM"},
            "language_config": {},
        },
    ],
    ids=["published", "original"],
)
def test_a_library_that_is_too_old_for_the_first_deepseek_ocr_is_refused_naming_the_release(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    others = {kind: None for kind in transformers.CONFIG_MAPPING if kind != "unlimited_ocr"}
    monkeypatch.setattr(transformers, "CONFIG_MAPPING", others)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert refuse(tmp_path) == (
        f"spec.model.uri: file://{tmp_path} needs transformers 5.20 or newer, and the image has transformers "
        f"{transformers.__version__}; build an image with a newer one and set spec.image"
    )


@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_without_a_pad_token_eos_is_used(uri: str, saved: dict[str, Path], tmp_path: Path) -> None:
    from support.training.tiny_training import build_model, build_samples

    folder = shutil.copytree(saved[uri], tmp_path / "model")
    change_json(folder / "tokenizer_config.json", pad_token=None)
    _, processor = load(f"file://{folder}")
    assert processor.tokenizer.pad_token_id == processor.tokenizer.eos_token_id
    changes = {"image_processor": {"size": 64}} if uri == OCR2 else {}
    model = build_model(f"file://{folder}", **changes)
    model.family.collate(build_samples(model, 2))


def test_without_an_eos_token_that_of_the_configuration_is_used(vit: Path) -> None:
    change_json(vit / "tokenizer_config.json", pad_token=None, eos_token=None)
    _, processor = load(f"file://{vit}")
    assert (processor.tokenizer.eos_token, processor.tokenizer.pad_token) == ("</s>", "</s>")
    change_json(vit / "config.json", eos_token_id=None)
    change_json(vit / "generation_config.json", eos_token_id=None)
    assert "has no EOS token; set eos_token in its tokenizer_config.json" in refuse(vit)


def test_without_a_decoder_start_token_bos_is_used_or_the_model_refused(vit: Path) -> None:
    change_json(vit / "config.json", decoder_start_token_id=None)
    change_json(vit / "generation_config.json", decoder_start_token_id=None)
    module, _ = load(f"file://{vit}")
    assert module.config.decoder_start_token_id == module.config.decoder.bos_token_id == 0
    config = json.loads((vit / "config.json").read_text())
    change_json(vit / "config.json", bos_token_id=None, decoder={**config["decoder"], "bos_token_id": None})
    change_json(vit / "generation_config.json", bos_token_id=None)
    assert "has no decoder_start_token_id; set it in its config.json" in refuse(vit)


def test_a_tokenizer_larger_than_the_model_is_refused(ocr2: Path) -> None:
    _, processor = load(f"file://{ocr2}")
    processor.tokenizer.add_tokens(["one more"])
    processor.save_pretrained(ocr2)
    assert "has 261 tokens, its model only 260; use the tokenizer that belongs" in refuse(ocr2)


def test_a_model_without_a_processor_class_gets_one_of_its_parts(vit: Path) -> None:
    _, processor = load(f"file://{vit}")
    (vit / "processor_config.json").unlink()
    processor.image_processor.save_pretrained(vit)
    change_json(vit / "tokenizer_config.json", processor_class=None)
    _, again = load(f"file://{vit}")
    assert type(again).__name__ == "TrOCRProcessor"


def test_other_errors_of_the_library_name_the_field(ocr2: Path) -> None:
    change_json(ocr2 / "config.json", text_config={"hidden_size": "wide"})
    assert f"cannot load file://{ocr2} (" in refuse(ocr2)


def test_a_package_that_the_processor_needs_is_named() -> None:
    from deepsynth_train.models.loading import explain_model_errors

    missing = "\nQwen3VLVideoProcessor requires the Torchvision library but it was not found in your environment."
    expected = (
        "spec.model.uri: hf://a/b needs a package that is not installed (Qwen3VLVideoProcessor requires the "
        "Torchvision library); build an image with it and set spec.image"
    )
    with pytest.raises(ConfigurationError) as caught, explain_model_errors("hf://a/b"):
        raise ImportError(missing)
    assert caught.value.message == expected
