"""DeepSeek-OCR-2: SAM and a small encoder compress a page into 145 or 257 positions of a decoder-only MoE.

A page, (3, S, S), becomes (S / 64)^2 positions in SAM (patches of 16 px, downsampled by 4), and then 144 (S <= 768) or
256 positions in an encoder with that many learned queries. A separator adds one.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.models.inference import build_chat_template
from deepsynth_train.models.page_model import Batch, ImageRule, PageModel, Sample
from deepsynth_train.models.text import encode_text, find_special_ids

DEEPSEEK_OCR2 = "deepseek_ocr2"
"""`model_type` in config.json."""
_DOWNSAMPLING = 4
_PATCH = 16 * _DOWNSAMPLING
"""Pixels per position: SAM's patch size times its downsampling."""
_NO_TILES = 2**30
"""A tile size in pixels: the processor cuts only pages that are larger."""
_QUERIES = {"query_768_resolution": 144, "query_1024_resolution": 256}
"""Tables of learned queries and their sizes. The first one with a query for every patch of a page is used."""


class DeepseekOcr2Family:
    """One sequence per document, pages first. With 2 pages and a label of 3 tokens (N = image_tokens):

    input_ids   BOS  image x N  image x N  "Free OCR."  l1  l2  l3
    rows                                            T   T   T   T      positions that predict a label token
    targets                                         l1  l2  l3  EOS
    """

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
        ids = tokenizer(tokenizer.convert_ids_to_tokens(self._image_token))["input_ids"]  # with BOS
        place = ids.index(self._image_token)
        text = encode_text(tokenizer, find_special_ids(tokenizer, config), f"\n{prompt}")
        self._before, self._after = ids[:place], [*text, *ids[place + 1 :]]

    def count_tokens(self, pages: NDArray[np.int64], label_tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        fixed = len(self._before) + len(self._after) + 1
        return pages * self.image_tokens + label_tokens + fixed  # (samples,)

    def collate(self, samples: Sequence[Sample]) -> Batch:
        prefixes = [self._build_prefix(len(sample.pages)) for sample in samples]
        width = max(len(prefix) + len(sample.label) for prefix, sample in zip(prefixes, samples, strict=True))
        input_ids = torch.full((len(samples), width), self._pad)  # (B, T), int64
        attention_mask = torch.zeros_like(input_ids)  # (B, T)
        rows = torch.zeros(len(samples), width, dtype=torch.bool)  # (B, T)
        for line, (prefix, sample) in enumerate(zip(prefixes, samples, strict=True)):
            length = len(prefix) + len(sample.label)
            input_ids[line, :length] = torch.tensor([*prefix, *sample.label])
            attention_mask[line, :length] = 1
            rows[line, len(prefix) - 1 : length] = True  # the last prompt token predicts the first label token
        pixel_values = torch.from_numpy(np.concatenate([sample.pages for sample in samples]))  # (P, 3, S, S), uint8
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "pixel_values": pixel_values}
        targets = torch.tensor([token for sample in samples for token in (*sample.label, self._eos)])  # (N_label,)
        return Batch(inputs, rows, targets, len(samples))

    def collate_prompts(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        prefixes = [self._build_prefix(len(sample.pages)) for sample in samples]
        width = max(len(prefix) for prefix in prefixes)
        input_ids = torch.full((len(samples), width), self._pad)  # (B, T), int64
        attention_mask = torch.zeros_like(input_ids)  # (B, T)
        for line, prefix in enumerate(prefixes):
            input_ids[line, width - len(prefix) :] = torch.tensor(prefix)
            attention_mask[line, width - len(prefix) :] = 1
        pixel_values = torch.from_numpy(np.concatenate([sample.pages for sample in samples]))  # (P, 3, S, S), uint8
        return {"input_ids": input_ids, "attention_mask": attention_mask, "pixel_values": pixel_values}

    def count_image_tokens(self, module: Any, pixel_values: torch.Tensor) -> int:
        features = module.get_image_features(pixel_values, return_dict=True)
        return int(features.pooler_output[0].shape[0])  # of (N, D)

    def _build_prefix(self, pages: int) -> list[int]:
        return [*self._before, *[self._image_token] * (self.image_tokens * pages), *self._after]


def build_deepseek_ocr2(module: Any, processor: Any, side: int | None, prompt: str) -> PageModel:
    """Wrap a loaded model and its processor. side: of the global view in pixels, None for the processor's own.

    Raises ConfigurationError for a side that the vision tower does not support.
    """
    images = processor.image_processor
    if side is None:
        side = int(images.size["height"] if images.crop_to_patches else images.tile_size)
    if side % _PATCH or side > 1024:
        raise ConfigurationError(
            f"spec.imageProcessor.size: DeepSeek-OCR-2 needs a multiple of {_PATCH} up to 1024, got {side}"
        )
    family = DeepseekOcr2Family(module.config, processor.tokenizer, side, prompt)
    _set_page_size(processor, side, family.queries)
    _set_chat_template(processor, module.config, prompt)
    rule = ImageRule(
        side=side,
        fit="pad",
        background=int(images.background_color[0]),
        resample=int(images.resample),
        mean=tuple(images.image_mean),
        std=tuple(images.image_std),
    )
    return PageModel(module, processor, family, rule, module.dtype)


def _set_page_size(processor: Any, side: int, queries: int) -> None:
    """Make the published processor feed what the trainer feeds, without an argument.

    A saved `crop_to_patches: false` does not help: the processor passes its own default of true to the image
    processor. With tiles that are larger than any page it cuts no tiles, scales pages to `size`, and counts
    ceil(size / patch_size / downsample_ratio)^2 positions. That must be the number of queries, so the ratio is such
    that the quotient is their square root less a half, except where the real ratio gives the same number.
    """
    processor.image_processor.crop_to_patches = True
    processor.image_processor.tile_size = _NO_TILES
    processor.image_processor.size = {"height": side, "width": side}
    columns = math.isqrt(queries)
    processor.downsample_ratio = _DOWNSAMPLING
    if math.ceil(side / processor.patch_size / _DOWNSAMPLING) != columns:
        processor.downsample_ratio = side / processor.patch_size / (columns - 0.5)


def _set_chat_template(processor: Any, config: Any, prompt: str) -> None:
    """Write the trained prompt down in the published processor; no template for a prompt with the name of a special
    token, which trains as text and which a processor would read as that token.
    """
    tokenizer = processor.tokenizer
    trained = encode_text(tokenizer, find_special_ids(tokenizer, config), f"\n{prompt}")
    read = tokenizer(f"{processor.image_token}\n{prompt}", add_special_tokens=False)["input_ids"]
    fits = read == [config.image_token_id, *trained]
    processor.chat_template = build_chat_template(processor.image_token, prompt) if fits else None
