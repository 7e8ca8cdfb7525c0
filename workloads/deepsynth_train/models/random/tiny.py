"""The models of `config://NAME`, for tests and dry runs: random weights and one token per byte, nothing to download."""

from typing import Any

BOS, EOS, PAD, IMAGE = "<s>", "</s>", "<pad>", "<image>"

_TINY_SPREAD = 0.1
"""About 1 / sqrt(width), as usual for a narrow network. With 0.02 the model needs thousands of steps to use a page."""
_TINY_SAM = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "output_channels": 16,
    "image_size": 256,
    "patch_size": 16,
    "window_size": 4,
    "global_attn_indexes": [1],
    "downsample_channels": [16, 32],
    "mlp_ratio": 2.0,
    # The library's default of 1e-10 makes all pages look the same to a random model.
    "initializer_range": 0.02,
}
_TINY_ENCODER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "initializer_range": _TINY_SPREAD,
}
_TINY_TEXT = {
    "initializer_range": _TINY_SPREAD,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "moe_intermediate_size": 32,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "mlp_layer_types": ["dense", "sparse", "sparse"],
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


def build_byte_tokenizer() -> Any:
    """A byte-level BPE without merges: one token per UTF-8 byte, 260 tokens, every text round-trips."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([BOS, EOS, PAD, *alphabet, IMAGE])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # the library's constructor
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=2048,
    )


def build_tiny_deepseek_ocr2() -> tuple[Any, Any]:
    """`config://deepseek-ocr2-tiny`: 0.3 M random weights, byte tokens, 512 px pages. The caller seeds torch."""
    from transformers import DeepseekOcr2Config, DeepseekOcr2ForConditionalGeneration, DeepseekOcr2Processor
    from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import DeepseekOcr2ImageProcessorPil

    tokenizer = build_byte_tokenizer()
    module = DeepseekOcr2ForConditionalGeneration(
        DeepseekOcr2Config(
            image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
            vision_config={"sam_config": _TINY_SAM, "encoder_config": _TINY_ENCODER},
            text_config={**_TINY_TEXT, "vocab_size": len(tokenizer)},
        )
    )
    images = DeepseekOcr2ImageProcessorPil(crop_to_patches=False, tile_size=512)
    return module, DeepseekOcr2Processor(  # type: ignore[no-untyped-call]  # the library's constructor
        image_processor=images, tokenizer=tokenizer
    )


def build_tiny_vit_gpt2() -> tuple[Any, Any]:
    """`config://vit-gpt2-tiny`: random weights, byte tokens, 256 px pages. The caller seeds torch."""
    from transformers import GPT2Config, ViTConfig
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    tokenizer = build_byte_tokenizer()
    encoder = ViTConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        image_size=256,
        patch_size=32,
    )
    decoder = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=2048,
        n_embd=64,
        n_layer=2,
        n_head=2,
        add_cross_attention=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return join_encoder_decoder(encoder, decoder, tokenizer, ViTImageProcessorPil(size={"height": 256, "width": 256}))


def join_encoder_decoder(encoder: Any, decoder: Any, tokenizer: Any, images: Any) -> tuple[Any, Any]:
    """A model of both configurations with random weights, and its processor."""
    from transformers import TrOCRProcessor, VisionEncoderDecoderConfig, VisionEncoderDecoderModel

    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, tie_word_embeddings=False)
    config.decoder_start_token_id = tokenizer.bos_token_id
    config.eos_token_id = tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    processor = TrOCRProcessor(image_processor=images, tokenizer=tokenizer)  # type: ignore[no-untyped-call]  # the library's constructor
    return VisionEncoderDecoderModel(config=config), processor
