"""transformers' VisionEncoderDecoder (ViT and GPT-2, TrOCR and their kin): one page in, its text out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.models.page_model import Batch, ImageRule, PageModel, Sample

MODEL_TYPE = "vision-encoder-decoder"


class EncoderDecoderFamily:
    """Decoder sequence: start token, label, EOS. The page is seen by cross attention; there is no prompt."""

    max_pages = 1
    vision = ("encoder",)
    language = ("decoder",)
    unused = ("encoder.pooler.dense.weight", "encoder.pooler.dense.bias")

    def __init__(self, config: Any, tokenizer: Any, side: int) -> None:
        self.image_tokens = (side // int(config.encoder.patch_size)) ** 2 + 1
        self.context_tokens = int(config.decoder.max_position_embeddings)
        self._start = int(config.decoder_start_token_id)
        self._pad = int(tokenizer.pad_token_id)
        self._eos = int(tokenizer.eos_token_id)

    def count_tokens(self, pages: NDArray[np.int64], label_tokens: NDArray[np.int64]) -> NDArray[np.int64]:  # noqa: ARG002 - pages take no position of the decoder
        return label_tokens + 1

    def collate(self, samples: Sequence[Sample]) -> Batch:
        width = 1 + max(len(sample.label) for sample in samples)
        decoder_input_ids = torch.full((len(samples), width), self._pad)
        rows = torch.zeros(len(samples), width, dtype=torch.bool)
        for line, sample in enumerate(samples):
            decoder_input_ids[line, : len(sample.label) + 1] = torch.tensor([self._start, *sample.label])
            rows[line, : len(sample.label) + 1] = True
        inputs = {
            "pixel_values": torch.from_numpy(np.concatenate([sample.pages for sample in samples])),
            "decoder_input_ids": decoder_input_ids,
            "decoder_attention_mask": rows.long(),
        }
        targets = torch.tensor([token for sample in samples for token in (*sample.label, self._eos)])
        return Batch(inputs, rows, targets, len(samples))

    def build_prompt(self, sample: Sample) -> dict[str, torch.Tensor]:
        return {"pixel_values": torch.from_numpy(sample.pages)}

    def count_image_tokens(self, module: Any, pixel_values: torch.Tensor) -> int:
        return int(module.get_encoder()(pixel_values).last_hidden_state.shape[1])


def build_encoder_decoder(module: Any, processor: Any, side: int | None) -> PageModel:
    """Wrap a loaded model and its processor. Raises ConfigurationError for a side that the encoder cannot take."""
    own = int(module.config.encoder.image_size)
    if side not in {None, own}:
        raise ConfigurationError(f"spec.imageProcessor.size: this encoder takes {own} only; leave the field out")
    images = processor.image_processor
    family = EncoderDecoderFamily(module.config, processor.tokenizer, own)
    rule = ImageRule(
        side=own,
        fit="stretch",
        background=255,
        resample=int(images.resample),
        mean=tuple(images.image_mean),
        std=tuple(images.image_std),
    )
    return PageModel(module, processor, family, rule)


def build_tiny_vit_gpt2() -> tuple[Any, Any]:
    """`config://vit-gpt2-tiny`: random weights, byte tokens, 256 px pages. The seed is the caller's."""
    from transformers import (
        GPT2Config,
        TrOCRProcessor,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
    )
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    from deepsynth_train.models.byte_tokenizer import build_byte_tokenizer

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
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, tie_word_embeddings=False)
    config.decoder_start_token_id = tokenizer.bos_token_id
    config.eos_token_id = tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    images = ViTImageProcessorPil(size={"height": 256, "width": 256})
    processor = TrOCRProcessor(image_processor=images, tokenizer=tokenizer)  # type: ignore[no-untyped-call]  # the library's constructor
    return VisionEncoderDecoderModel(config=config), processor
