"""A published DeepSeek-OCR-2 has the weights that vLLM reads: each by its name and in its shape, and no other.

vLLM cannot run here. The list is of names and shapes that its loader of DeepseekOCR2ForCausalLM takes: it has the
vision part's sizes built in, so the model has the published configuration. It has weights without memory.
"""

from __future__ import annotations

from typing import Any

Shapes = dict[str, tuple[int, ...]]

WIDTH, VOCABULARY = 1280, 129280
"""Of the language model."""
ENCODER = {
    "vocab_size": 1,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
}
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 6848,
    "num_hidden_layers": 12,
    "num_attention_heads": 10,
    "num_key_value_heads": 10,
    "moe_intermediate_size": 896,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "mlp_layer_types": ["dense", *["sparse"] * 11],
}


def list_linear(prefix: str, rows: int, columns: int, *, bias: bool = False) -> Shapes:
    return {f"{prefix}.weight": (rows, columns), **({f"{prefix}.bias": (rows,)} if bias else {})}


def list_mlp(prefix: str, width: int, inner: int) -> Shapes:
    return {
        **list_linear(f"{prefix}.gate_proj", inner, width),
        **list_linear(f"{prefix}.up_proj", inner, width),
        **list_linear(f"{prefix}.down_proj", width, inner),
    }


def list_norm(prefix: str, width: int) -> Shapes:
    return {f"{prefix}.weight": (width,), f"{prefix}.bias": (width,)}


def list_sam() -> Shapes:
    root, width, inner = "model.sam_model", 768, 256
    found: Shapes = {
        f"{root}.pos_embed": (1, 64, 64, width),
        f"{root}.patch_embed.proj.weight": (width, 3, 16, 16),
        f"{root}.patch_embed.proj.bias": (width,),
        f"{root}.neck.0.weight": (inner, width, 1, 1),
        f"{root}.neck.2.weight": (inner, inner, 3, 3),
        f"{root}.net_2.weight": (512, inner, 3, 3),
        f"{root}.net_3.weight": (896, 512, 3, 3),
        **list_norm(f"{root}.neck.1", inner),
        **list_norm(f"{root}.neck.3", inner),
    }
    for number in range(12):
        block = f"{root}.blocks.{number}"
        window = 64 if number in {2, 5, 8, 11} else 14
        found |= list_norm(f"{block}.norm1", width) | list_norm(f"{block}.norm2", width)
        found |= list_linear(f"{block}.attn.qkv", 3 * width, width, bias=True)
        found |= list_linear(f"{block}.attn.proj", width, width, bias=True)
        found |= {f"{block}.attn.rel_pos_{axis}": (2 * window - 1, 64) for axis in "hw"}
        found |= list_linear(f"{block}.mlp.lin1", 4 * width, width, bias=True)
        found |= list_linear(f"{block}.mlp.lin2", width, 4 * width, bias=True)
    return found


def list_encoder() -> Shapes:
    root, width = "model.qwen2_model", 896
    found: Shapes = {
        f"{root}.query_768.weight": (144, width),
        f"{root}.query_1024.weight": (256, width),
        f"{root}.model.model.norm.weight": (width,),
    }
    for number in range(24):
        layer = f"{root}.model.model.layers.{number}"
        found |= {f"{layer}.{name}.weight": (width,) for name in ("input_layernorm", "post_attention_layernorm")}
        for name, rows in {"q": width, "k": 128, "v": 128}.items():
            found |= list_linear(f"{layer}.self_attn.{name}_proj", rows, width, bias=True)
        found |= list_linear(f"{layer}.self_attn.o_proj", width, width)
        found |= list_mlp(f"{layer}.mlp", width, 4864)
    return found


def list_language() -> Shapes:
    found: Shapes = {
        "model.embed_tokens.weight": (VOCABULARY, WIDTH),
        "model.norm.weight": (WIDTH,),
        "lm_head.weight": (VOCABULARY, WIDTH),
    }
    for number in range(12):
        layer = f"model.layers.{number}"
        found |= {f"{layer}.{name}.weight": (WIDTH,) for name in ("input_layernorm", "post_attention_layernorm")}
        for name in "qkvo":
            found |= list_linear(f"{layer}.self_attn.{name}_proj", WIDTH, WIDTH)
        if number == 0:
            found |= list_mlp(f"{layer}.mlp", WIDTH, 6848)
            continue
        found |= list_linear(f"{layer}.mlp.gate", 64, WIDTH)
        found |= list_mlp(f"{layer}.mlp.shared_experts", WIDTH, 2 * 896)
        for expert in range(64):
            found |= list_mlp(f"{layer}.mlp.experts.{expert}", WIDTH, 896)
    return found


def list_projector() -> Shapes:
    return {**list_linear("model.projector.layers", WIDTH, 896, bias=True), "model.view_seperator": (WIDTH,)}


def build_published() -> Any:
    import torch
    from transformers import DeepseekOcr2Config, DeepseekOcr2ForConditionalGeneration

    config = DeepseekOcr2Config(vision_config={"encoder_config": ENCODER}, text_config=TEXT)
    with torch.device("meta"):
        return DeepseekOcr2ForConditionalGeneration(config)


def test_every_weight_has_the_name_and_the_shape_that_vllm_reads() -> None:
    from transformers.core_model_loading import revert_weight_conversion

    module = build_published()
    saved = revert_weight_conversion(module, module.state_dict())  # what save_pretrained writes
    shapes = {name: tuple(tensor.shape) for name, tensor in saved.items()}
    expected = list_sam() | list_encoder() | list_projector() | list_language()
    assert shapes.keys() == expected.keys()
    assert {name: shape for name, shape in shapes.items() if shape != expected[name]} == {}


def test_a_written_folder_has_the_same_kinds_of_names(tmp_path: Any) -> None:
    """The list above is of a model without memory; this one is on disk, and small."""
    import re

    from safetensors.torch import load_file

    from deepsynth_train.models.export import write_model
    from support.training.tiny_training import build_model

    def generalise(names: Any) -> set[str]:
        return {re.sub(r"(?<=\.)\d+(?=\.)", "N", name) for name in names}

    write_model(build_model(), tmp_path)
    expected = list_sam() | list_encoder() | list_projector() | list_language()
    assert generalise(load_file(tmp_path / "model.safetensors")) == generalise(expected)


def test_adapters_have_the_names_of_the_weights_that_they_belong_to(tmp_path: Any) -> None:
    from safetensors.torch import load_file

    from deepsynth_train.models.export import write_model
    from support.training.tiny_training import OCR2, build_model

    write_model(build_model(), tmp_path / "base")
    write_model(build_model(model={"uri": OCR2, "lora": {"rank": 2, "alpha": 4}}), tmp_path / "adapter")
    weights = load_file(tmp_path / "base/model.safetensors").keys()
    for name in load_file(tmp_path / "adapter/adapter_model.safetensors"):
        module = name.removeprefix("base_model.model.").rpartition(".lora_")[0]
        assert f"{module}.weight" in weights
