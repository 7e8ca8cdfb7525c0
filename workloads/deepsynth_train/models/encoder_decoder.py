"""transformers' VisionEncoderDecoder (ViT with GPT-2, TrOCR and similar): one page in, its text out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.models.page_model import Batch, ImageRule, PageModel, Sample

ENCODER_DECODER = "vision-encoder-decoder"
"""`model_type` in config.json."""


class EncoderDecoderFamily:
    """The decoder sees the page by cross attention; there is no prompt. With a label of 3 tokens:

    decoder_input_ids   start  l1  l2  l3
    rows                T      T   T   T      every position predicts a label token
    targets             l1     l2  l3  EOS
    """

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

    def count_tokens(self, pages: NDArray[np.int64], label_tokens: NDArray[np.int64]) -> NDArray[np.int64]:  # noqa: ARG002 - pages take no decoder positions
        return label_tokens + 1  # (samples,)

    def collate(self, samples: Sequence[Sample]) -> Batch:
        width = 1 + max(len(sample.label) for sample in samples)
        decoder_input_ids = torch.full((len(samples), width), self._pad)  # (B, T), int64
        rows = torch.zeros(len(samples), width, dtype=torch.bool)  # (B, T)
        for line, sample in enumerate(samples):
            decoder_input_ids[line, : len(sample.label) + 1] = torch.tensor([self._start, *sample.label])
            rows[line, : len(sample.label) + 1] = True
        inputs = {
            "pixel_values": torch.from_numpy(
                np.concatenate([sample.pages for sample in samples])
            ),  # (B, 3, S, S), uint8
            "decoder_input_ids": decoder_input_ids,
            "decoder_attention_mask": rows.long(),
        }
        targets = torch.tensor([token for sample in samples for token in (*sample.label, self._eos)])  # (N_label,)
        return Batch(inputs, rows, targets, len(samples))

    def collate_prompts(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        return {"pixel_values": torch.from_numpy(np.concatenate([sample.pages for sample in samples]))}

    def count_image_tokens(self, module: Any, pixel_values: torch.Tensor) -> int:
        return int(module.get_encoder()(pixel_values).last_hidden_state.shape[1])  # of (1, N, D)


def build_encoder_decoder(module: Any, processor: Any, side: int | None) -> PageModel:
    """Wrap a loaded model and its processor. Raises ConfigurationError for a side that is not the encoder's."""
    own = int(module.config.encoder.image_size)
    if side not in {None, own}:
        raise ConfigurationError(f"spec.imageProcessor.size: must be {own} for this model, got {side}; remove it")
    images = processor.image_processor
    images.do_convert_rgb = True  # so that the published processor takes grey pages as the trainer does
    family = EncoderDecoderFamily(module.config, processor.tokenizer, own)
    rule = ImageRule(
        side=own,
        fit="stretch",
        background=255,
        resample=int(images.resample),
        mean=tuple(images.image_mean),
        std=tuple(images.image_std),
    )
    return PageModel(module, processor, family, rule, module.dtype)
