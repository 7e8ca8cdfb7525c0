"""`config://deepseek-ocr2`: random weights in the published configuration, to try a GPU without downloading a model.

3,389,119,360 weights, 6.8 GB in bf16. The library's default configuration is another model, which cannot be built.
"""

from typing import Any

from deepsynth_train.models.random.tiny import IMAGE, build_byte_tokenizer

WEIGHTS = 3_389_119_360

_ENCODER = {
    "vocab_size": 1,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 131072,
    "rope_parameters": {"rope_theta": 1_000_000.0, "rope_type": "default"},
}
_TEXT = {
    "vocab_size": 129280,
    "hidden_size": 1280,
    "intermediate_size": 6848,
    "num_hidden_layers": 12,
    "num_attention_heads": 10,
    "num_key_value_heads": 10,
    "moe_intermediate_size": 896,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "mlp_layer_types": ["dense", *["sparse"] * 11],
    "max_position_embeddings": 8192,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


def build_published_deepseek_ocr2() -> tuple[Any, Any]:
    """In bf16 on torch's default device, with one token per byte. The caller seeds torch."""
    import torch
    from transformers import DeepseekOcr2Config, DeepseekOcr2ForConditionalGeneration, DeepseekOcr2Processor
    from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import DeepseekOcr2ImageProcessorPil

    tokenizer = build_byte_tokenizer()
    config = DeepseekOcr2Config(
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        # The library's default initializer_range of 1e-10 makes all pages look the same to a random model.
        vision_config={"sam_config": {"initializer_range": 0.02}, "encoder_config": _ENCODER},
        text_config=_TEXT,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        module = DeepseekOcr2ForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    return module, DeepseekOcr2Processor(  # type: ignore[no-untyped-call]  # the library's constructor
        image_processor=DeepseekOcr2ImageProcessorPil(), tokenizer=tokenizer
    )
