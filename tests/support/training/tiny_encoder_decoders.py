"""Tiny vision encoder-decoders with random weights, each with its own processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.training.tiny_families import SPREAD, build_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

_DECODER: dict[str, Any] = {
    "d_model": 32,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 256,
    "init_std": SPREAD,
    "dropout": 0.0,
    "is_decoder": True,
    "add_cross_attention": True,
}


def build_donut() -> tuple[Any, Any]:
    """Pages are scaled to fit 80 x 64 px and padded."""
    from transformers import DonutImageProcessor, DonutProcessor, DonutSwinConfig, MBartConfig

    tokenizer = build_tokenizer(image_token="<image>")
    encoder = DonutSwinConfig(
        image_size=[80, 64], patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    decoder = MBartConfig(encoder_layers=1, **_DECODER, **_list_tokens(tokenizer))
    images = DonutImageProcessor(size={"height": 80, "width": 64})
    processor = DonutProcessor(image_processor=images, tokenizer=tokenizer)  # type: ignore[no-untyped-call]
    return _join(encoder, decoder), processor


def build_trocr() -> tuple[Any, Any]:
    from transformers import TrOCRConfig, TrOCRProcessor, ViTConfig
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil  # scales as the trainer does

    tokenizer = build_tokenizer(image_token="<image>")
    encoder = ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        patch_size=16,
        initializer_range=SPREAD,
    )
    decoder = TrOCRConfig(cross_attention_hidden_size=32, **_DECODER, **_list_tokens(tokenizer))
    images = ViTImageProcessorPil(size={"height": 64, "width": 64})
    processor = TrOCRProcessor(image_processor=images, tokenizer=tokenizer)  # type: ignore[no-untyped-call]
    return _join(encoder, decoder), processor


ENCODER_DECODERS: dict[str, Callable[[], tuple[Any, Any]]] = {"donut": build_donut, "trocr": build_trocr}


def _list_tokens(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.convert_tokens_to_ids("<|im_start|>"),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _join(encoder: Any, decoder: Any) -> Any:
    from transformers import VisionEncoderDecoderConfig, VisionEncoderDecoderModel

    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, tie_word_embeddings=False)
    config.decoder_start_token_id = decoder.bos_token_id
    config.eos_token_id = decoder.eos_token_id
    config.pad_token_id = decoder.pad_token_id
    return VisionEncoderDecoderModel(config=config)
