"""The first DeepSeek-OCR: its original files are read through the library's `unlimited_ocr`."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_families import SPREAD
from support.training.tiny_training import build_settings, draw_noise

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.models.interface.page_model import PageModel, Sample

pytest.importorskip("transformers.models.unlimited_ocr", reason="transformers has the model since 5.20")

TILES: dict[str, Any] = {"size": 128, "max_tiles": 6}
SIZES = [(64, 60), (90, 130), (300, 80)]
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
VISION = {
    "sam_config": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "output_channels": 16,
        "image_size": 128,
        "window_size": 4,
        "global_attn_indexes": [1],
        "downsample_channels": [16, 32],
        "mlp_dim": 64,
        "initializer_range": SPREAD,
    },
    "encoder_config": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "initializer_range": SPREAD,
    },
}
ORIGINAL: dict[str, Any] = {
    "architectures": ["DeepseekOCRForCausalLM"],
    "auto_map": {"AutoModel": "modeling_deepseekocr.DeepseekOCRForCausalLM"},
    "model_type": "deepseek_vl_v2",
    "language_config": {**TEXT, "use_mla": False, "kv_lora_rank": None, "v_head_dim": 0, "topk_method": "greedy"},
    "projector_config": {"projector_type": "linear", "input_dim": 64, "n_embed": 32},
    "vision_config": VISION,
    "torch_dtype": "float32",
}
"""As in the published repository, with tiny sizes."""


def build_module() -> Any:
    import torch
    from transformers import UnlimitedOcrForConditionalGeneration

    from deepsynth_train.models.families.deepseek_ocr1 import convert_config
    from deepsynth_train.models.random.tiny import IMAGE, build_byte_tokenizer

    tokenizer = build_byte_tokenizer()
    torch.manual_seed(0)
    config = convert_config({**ORIGINAL, "image_token_id": tokenizer.convert_tokens_to_ids(IMAGE)})
    module: Any = UnlimitedOcrForConditionalGeneration(config)
    return module.eval()


def build_processor() -> Any:
    from transformers import UnlimitedOcrImageProcessor, UnlimitedOcrProcessor

    from deepsynth_train.models.random.tiny import build_byte_tokenizer

    return UnlimitedOcrProcessor(  # type: ignore[no-untyped-call]
        image_processor=UnlimitedOcrImageProcessor(tile_size=64), tokenizer=build_byte_tokenizer()
    )


def build(**image_processor: Any) -> PageModel:
    from deepsynth_train.models.families.registry import wrap_model

    module = build_module()
    model = wrap_model(module, build_processor(), build_settings(image_processor=image_processor))
    model.family.check(module)
    return model


def build_samples(model: PageModel) -> list[Sample]:
    from deepsynth_train.models.interface.page_model import Sample

    generator = np.random.default_rng(0)
    documents = [[draw_noise(generator, size) for size in sizes] for sizes in (SIZES[:1], SIZES[1:], SIZES)]
    return [Sample(model.family.build_prompt(pages), list(range(50, 53 + n))) for n, pages in enumerate(documents)]


def write_original(folder: Path) -> Any:
    """A folder with the names of the original weights and its config.json; returns the model that was written."""
    from deepsynth_train.models.random.tiny import build_byte_tokenizer

    module = build_module()
    module.save_pretrained(folder)
    tokenizer = build_byte_tokenizer()
    tokenizer.save_pretrained(folder)
    config = {**ORIGINAL, "image_token_id": module.config.image_token_id}
    config["language_config"] = {**config["language_config"], "vocab_size": module.config.text_config.vocab_size}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "DeepseekVLV2Processor"}))
    return module


def test_original_names_and_settings_give_the_same_model(tmp_path: Path) -> None:
    import torch
    from transformers import UnlimitedOcrForConditionalGeneration

    from deepsynth_train.models.families.deepseek_ocr1 import convert_config

    module = write_original(tmp_path)
    names = set(load_file(tmp_path / "model.safetensors"))
    assert {"model.view_seperator", "model.projector.layers.weight", "model.image_newline", "lm_head.weight"} <= names
    assert {"model.sam_model.pos_embed", "model.layers.1.mlp.experts.3.gate_proj.weight"} <= names
    config = convert_config(json.loads((tmp_path / "config.json").read_text()))
    models: Any = UnlimitedOcrForConditionalGeneration
    again, info = models.from_pretrained(tmp_path, config=config, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    expected = module.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in again.state_dict().items())
    assert config.text_config.layer_types == ["full_attention"] * 3
    assert config.text_config.mlp_layer_types == ["dense", "sparse", "sparse"]


def test_the_published_sizes_are_the_defaults() -> None:
    """The original config.json names the parts of the vision tower, without their sizes."""
    from deepsynth_train.models.families.deepseek_ocr1 import convert_config

    vision = {"image_size": 1024, "width": {"clip-l-14-224": {}, "sam_vit_b": {}}}
    config = convert_config({**ORIGINAL, "vision_config": vision}).vision_config
    assert (config.sam_config.hidden_size, config.encoder_config.hidden_size) == (768, 1024)


@pytest.mark.parametrize("size", [*SIZES, (1240, 1754)])
@pytest.mark.parametrize("settings", [TILES, {"size": 128}, {"size": 64, "max_tiles": 9}])
def test_positions_are_those_that_the_library_counts(size: tuple[int, int], settings: dict[str, Any]) -> None:
    model = build(**settings)
    tensors = model.family.build_prompt([Image.new("L", size)]).tensors
    given = {name: tensors[name].tolist() for name in ("patches_grid", "num_local_patches")}
    expected = model.processor.replace_image_token(given, 0).count(model.processor.image_token)
    assert model.family.count_page_tokens(np.array([size])).tolist() == [expected]


def test_loss_and_gradients_are_those_of_the_model() -> None:
    import torch

    from deepsynth_train.models.families.page_features import PLACES
    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build(**TILES)
    batch = model.family.collate(build_samples(model))
    count, width = batch.inputs["input_ids"].shape
    labels = torch.full((count, width + 1), -100)  # the model shifts them: row t predicts position t + 1
    labels[batch.rows // width, batch.rows % width + 1] = batch.targets
    inputs = model.family.prepare(batch.inputs)
    del inputs[PLACES]  # the library finds them by itself
    for name in ("input_ids", "attention_mask"):
        inputs[name] = torch.nn.functional.pad(inputs[name], (0, 1))
    theirs = model.module(**inputs, labels=labels).loss * len(batch.targets)
    ours = compute_loss_sum(model, batch, nullcontext)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    parameters = dict(model.module.named_parameters())
    expected, found = (torch.autograd.grad(loss, list(parameters.values())) for loss in (theirs, ours))
    for name, *gradients in zip(parameters, found, expected, strict=True):
        torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-3, msg=name)


def test_text_is_written_in_batches_as_for_each_sample_alone() -> None:
    import torch

    model = build(**TILES)
    samples = build_samples(model)
    written = []
    with torch.no_grad():
        for batch in ([samples[0]], [samples[1]], [samples[2]], samples):
            inputs = model.family.prepare(model.family.collate_prompts(batch))
            ids = model.module.generate(**inputs, max_new_tokens=4, do_sample=False)
            written.append(ids[:, inputs["input_ids"].shape[1] :].tolist())
    assert written[3] == [written[0][0], written[1][0], written[2][0]]


def test_unlimited_ocr_itself_is_refused() -> None:
    from deepsynth_train.models.families.registry import wrap_model

    module = build_module()
    module.config.text_config.layer_types = ["reference_sliding_attention"] * 3
    with pytest.raises(ConfigurationError, match=r"use hf://deepseek-ai/DeepSeek-OCR$"):
        wrap_model(module, build_processor(), build_settings())


def test_original_files_become_a_model_with_the_library_s_processor(tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from deepsynth_train.models.build import build_page_model
    from deepsynth_train.models.export import write_model

    write_original(tmp_path / "original")
    settings: dict[str, Any] = {
        "model": {"uri": f"file://{tmp_path / 'original'}"},
        "image_processor": {"size": 1024, "max_tiles": 4},
    }
    model = build_page_model(build_settings(**settings))
    write_model(model, tmp_path / "published")
    models: Any = AutoModelForImageTextToText
    processors: Any = AutoProcessor
    assert models.from_pretrained(tmp_path / "published").config.text_config.layer_types == ["full_attention"] * 3
    processor = processors.from_pretrained(tmp_path / "published")
    page = draw_noise(np.random.default_rng(0), (900, 700))
    asked = [{"role": "user", "content": [{"type": "image", "image": page}, {"type": "text"}]}]
    given = processor.apply_chat_template(asked, tokenize=True, return_dict=True, return_tensors="pt")
    prompt = model.family.build_prompt([page])
    fed = model.family.prepare(dict(prompt.tensors))
    assert given["input_ids"][0].tolist() == prompt.ids
    assert [list(grid) for grid in given["patches_grid"]] == fed["patches_grid"]
    for name in ("pixel_values", "pixel_values_local"):
        assert (given[name] - fed[name]).abs().max() < 0.05
