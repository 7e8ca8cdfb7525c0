"""DeepSeek-OCR-2: SAM and a small encoder compress a page into 145 or 257 positions of a decoder-only MoE."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.models.page_model import Batch, ImageRule, PageModel, Sample

MODEL_TYPE = "deepseek_ocr2"
_PATCH = 64
"""Pixels per position after SAM's patches (16) and its downsampling (4)."""
_QUERIES = {"query_768_resolution": 144, "query_1024_resolution": 256}
"""Tables of learnt queries; the first one that has room for the patches of a page is used."""


class DeepseekOcr2Family:
    """Sequence: BOS, image positions of each page in order, prompt, label, EOS."""

    max_pages = None
    vision = ("model.vision_tower",)
    language = ("model.language_model", "lm_head")

    def __init__(self, config: Any, tokenizer: Any, side: int, prompt: str) -> None:
        patches = (side // _PATCH) ** 2
        self._table = next((name for name, size in _QUERIES.items() if patches <= size), "query_1024_resolution")
        self.queries = _QUERIES[self._table]
        self.image_tokens = self.queries + 1
        self.context_tokens = int(config.text_config.max_position_embeddings)
        self.unused = [f"model.vision_tower.{name}.weight" for name in _QUERIES if name != self._table]
        self._image_token = int(config.image_token_id)
        self._pad = int(tokenizer.pad_token_id)
        self._eos = int(tokenizer.eos_token_id)
        ids = tokenizer(f"{tokenizer.convert_ids_to_tokens(self._image_token)}\n{prompt}")["input_ids"]
        place = ids.index(self._image_token)
        self._before, self._after = ids[:place], ids[place + 1 :]

    def count_tokens(self, pages: NDArray[np.int64], label_tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        fixed = len(self._before) + len(self._after) + 1
        return pages * self.image_tokens + label_tokens + fixed

    def collate(self, samples: Sequence[Sample]) -> Batch:
        prefixes = [self._build_prefix(len(sample.pages)) for sample in samples]
        width = max(len(prefix) + len(sample.label) for prefix, sample in zip(prefixes, samples, strict=True))
        input_ids = torch.full((len(samples), width), self._pad)
        attention_mask = torch.zeros_like(input_ids)
        rows = torch.zeros(len(samples), width, dtype=torch.bool)
        for line, (prefix, sample) in enumerate(zip(prefixes, samples, strict=True)):
            length = len(prefix) + len(sample.label)
            input_ids[line, :length] = torch.tensor([*prefix, *sample.label])
            attention_mask[line, :length] = 1
            rows[line, len(prefix) - 1 : length] = True
        pixel_values = torch.from_numpy(np.concatenate([sample.pages for sample in samples]))
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "pixel_values": pixel_values}
        targets = torch.tensor([token for sample in samples for token in (*sample.label, self._eos)])
        return Batch(inputs, rows, targets, len(samples))

    def build_prompt(self, sample: Sample) -> dict[str, torch.Tensor]:
        input_ids = torch.tensor([self._build_prefix(len(sample.pages))])
        return {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "pixel_values": torch.from_numpy(sample.pages),
        }

    def count_image_tokens(self, module: Any, pixel_values: torch.Tensor) -> int:
        features = module.get_image_features(pixel_values, return_dict=True)
        return int(features.pooler_output[0].shape[0])

    def _build_prefix(self, pages: int) -> list[int]:
        return [*self._before, *[self._image_token] * (self.image_tokens * pages), *self._after]


def build_deepseek_ocr2(module: Any, processor: Any, side: int | None, prompt: str) -> PageModel:
    """Wrap a loaded model and its processor. side: of the global view in pixels; None: what the processor says.

    Raises ConfigurationError for a side that the vision tower cannot take.
    """
    images = processor.image_processor
    if side is None:
        side = int(images.size["height"] if images.crop_to_patches else images.tile_size)
    if side % _PATCH or side > 1024:
        raise ConfigurationError(
            f"spec.imageProcessor.size: {side} does not suit DeepSeek-OCR-2; use a multiple of {_PATCH} up to 1024"
        )
    family = DeepseekOcr2Family(module.config, processor.tokenizer, side, prompt)
    _set_page_size(processor, side, family.queries)
    rule = ImageRule(
        side=side,
        fit="pad",
        background=int(images.background_color[0]),
        resample=int(images.resample),
        mean=tuple(images.image_mean),
        std=tuple(images.image_std),
    )
    return PageModel(module, processor, family, rule)


def _set_page_size(processor: Any, side: int, queries: int) -> None:
    """Make the library's processor do what we do: it scales to `tile_size` and counts positions from `size`."""
    counted = math.isqrt(queries) * _PATCH
    processor.image_processor.crop_to_patches = False
    processor.image_processor.tile_size = side
    processor.image_processor.size = {"height": counted, "width": counted}


def build_tiny_deepseek_ocr2() -> tuple[Any, Any]:
    """`config://deepseek-ocr2-tiny`: 0.3 M random weights, byte tokens, 512 px pages. The seed is the caller's."""
    from transformers import DeepseekOcr2Config, DeepseekOcr2ForConditionalGeneration, DeepseekOcr2Processor
    from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import DeepseekOcr2ImageProcessorPil

    from deepsynth_train.models.byte_tokenizer import IMAGE, build_byte_tokenizer

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


_TINY_SPREAD = 0.1
"""About 1 / sqrt(width), as for any narrow network: with 0.02 it takes thousands of steps to see a page."""
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
    # The library's default is 1e-10, which makes a random model blind: all pages look alike to it.
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
