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
from PIL import Image

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.inference import build_chat_template
from deepsynth_train.models.page_model import Batch, Inputs, PageModel, Prompt, Sample
from deepsynth_train.models.prompts import get_prompt
from deepsynth_train.models.sequences import collate_left, collate_sequences
from deepsynth_train.models.square_pages import ImageRule, build_planes, check_positions
from deepsynth_train.models.text import encode_text, find_special_ids

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
    rows                                            |   |   |   |      positions that predict a label token
    targets                                         l1  l2  l3  EOS
    """

    max_pages = None
    reads_sizes = False
    vision = ("model.vision_tower",)
    language = ("model.language_model", "lm_head")

    def __init__(self, config: Any, tokenizer: Any, image: ImageRule, prompt: str) -> None:
        patches = (image.side // _PATCH) ** 2
        self.image = image
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
        self.fixed_tokens = len(self._before) + len(self._after) + 1

    def count_page_tokens(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.full(len(sizes), self.image_tokens)

    def build_prompt(self, pages: Sequence[Image.Image]) -> Prompt:
        ids = [*self._before, *[self._image_token] * (self.image_tokens * len(pages)), *self._after]
        return Prompt(len(pages), ids, {"pixel_values": build_planes(pages, self.image)})

    def collate(self, samples: Sequence[Sample]) -> Batch:
        return collate_sequences(samples, pad=self._pad, end=self._eos)

    def collate_prompts(self, samples: Sequence[Sample]) -> Inputs:
        return collate_left(samples, pad=self._pad)

    def prepare(self, inputs: Inputs) -> Inputs:
        return {**inputs, "pixel_values": self.image.scale.apply(inputs["pixel_values"])}

    def check(self, module: Any) -> None:
        def count(pixel_values: torch.Tensor) -> int:
            features = module.get_image_features(pixel_values, return_dict=True)
            return int(features.pooler_output[0].shape[0])  # of (N, D)

        check_positions(module, self.image.side, self.image_tokens, count)


def build_deepseek_ocr2(module: Any, processor: Any, settings: TrainingSettings) -> PageModel:
    """Wrap a loaded model and its processor. Raises ConfigurationError for a page size that the vision tower does not
    support.
    """
    images = processor.image_processor
    side = settings.image_processor.size
    if side is None:
        side = int(images.size["height"] if images.crop_to_patches else images.tile_size)
    if side % _PATCH or side > 1024:
        raise ConfigurationError(
            f"spec.imageProcessor.size: DeepSeek-OCR-2 needs a multiple of {_PATCH} up to 1024, got {side}"
        )
    rule = ImageRule(
        side=side,
        fit="pad",
        background=int(images.background_color[0]),
        resample=int(images.resample),
        mean=tuple(images.image_mean),
        std=tuple(images.image_std),
    )
    prompt = get_prompt(settings)
    family = DeepseekOcr2Family(module.config, processor.tokenizer, rule, prompt)
    _set_page_size(processor, side, family.queries)
    _set_chat_template(processor, module.config, prompt)
    return PageModel(module, processor, family, module.dtype)


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
