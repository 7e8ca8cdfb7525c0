"""DeepSeek-OCR-2: SAM and a small encoder compress a page into 145 or 257 positions of a decoder-only MoE.

A square of a page, (3, S, S), becomes (S / 64)^2 positions in SAM (patches of 16 px, downsampled by 4), and then 144
(S <= 768) or 256 positions in an encoder with that many learned queries. The squares of a page are its tiles, if there
are any, and the whole page. A separator adds one position.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.families.page_features import ModuleCut, embed_at_places
from deepsynth_train.models.families.sequences import collate_left, collate_sequences
from deepsynth_train.models.families.square_pages import A4, ImageRule, check_positions, fit_inputs
from deepsynth_train.models.families.tiles import VIEWS, TileRule, always_see_tiles
from deepsynth_train.models.interface.inference import build_chat_template
from deepsynth_train.models.interface.page_model import Batch, Inputs, PageModel, Prompt, Sample, VisionCut
from deepsynth_train.models.interface.prompts import get_prompt
from deepsynth_train.models.interface.text import encode_text, find_special_ids

_DOWNSAMPLING = 4
PATCH = 16 * _DOWNSAMPLING
"""Pixels per position: SAM's patch size times its downsampling."""
_TILE = 768
"""Side of a tile in pixels."""
_PASSED_TILES = 6
"""`max_patches` that the library's processor passes on instead of the one that was saved."""
_LEAST_TILES = 2
_NO_TILES = 2**30
"""A tile size in pixels: the processor cuts only pages that are larger."""
_QUERIES = {"query_768_resolution": 144, "query_1024_resolution": 256}
"""Tables of learned queries and their sizes. The first one with a query for every patch of a page is used."""


class DeepseekOcr2Family:
    """One sequence per document, pages first. With 2 pages and a label of 3 tokens:

    input_ids   BOS  image x N  image x N  "Free OCR."  l1  l2  l3
    rows                                            |   |   |   |      positions that predict a label token
    targets                                         l1  l2  l3  EOS

    N, with 6 tiles of 768 px and a page of 1024 px: 6 * 144 + 256 + 1.
    """

    max_pages = None
    vision = ("model.vision_tower",)
    language = ("model.language_model", "lm_head")

    def __init__(self, config: Any, tokenizer: Any, tiles: TileRule, prompt: str) -> None:
        tables = {find_table(tiles.image.side), *([find_table(tiles.side)] if tiles.most else [])}
        self.tiles = tiles
        self.reads_sizes = tiles.most > 0
        self.context_tokens = int(config.text_config.max_position_embeddings)
        self.unused = [f"model.vision_tower.{name}.weight" for name in _QUERIES if name not in tables]
        self._image_token = int(config.image_token_id)
        self._pad = int(tokenizer.pad_token_id)
        self._eos = int(tokenizer.eos_token_id)
        ids = tokenizer(tokenizer.convert_ids_to_tokens(self._image_token))["input_ids"]  # with BOS
        place = ids.index(self._image_token)
        text = encode_text(tokenizer, find_special_ids(tokenizer, config), f"\n{prompt}")
        self._before, self._after = ids[:place], [*text, *ids[place + 1 :]]
        self.fixed_tokens = len(self._before) + len(self._after) + 1
        self.image_tokens = self._count(*A4)

    @property
    def image(self) -> ImageRule:
        return self.tiles.image

    def count_page_tokens(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self.reads_sizes:
            return np.full(len(sizes), self.image_tokens)
        unique, inverse = np.unique(sizes, axis=0, return_inverse=True)
        return np.array([self._count(*size) for size in unique.tolist()], dtype=np.int64)[inverse.reshape(-1)]

    def build_prompt(self, pages: Sequence[Image.Image]) -> Prompt:
        images = sum(self._count(*page.size) for page in pages)
        ids = [*self._before, *[self._image_token] * images, *self._after]
        return Prompt(len(pages), ids, self.tiles.build_tensors(pages))

    def collate(self, samples: Sequence[Sample]) -> Batch:
        return collate_sequences(samples, pad=self._pad, end=self._eos, image_token=self._image_token)

    def collate_prompts(self, samples: Sequence[Sample]) -> Inputs:
        return collate_left(samples, pad=self._pad)

    def prepare(self, inputs: Inputs) -> dict[str, Any]:
        return self.tiles.scale(inputs)

    def check(self, module: Any) -> None:
        size = (2 * self.tiles.side, self.tiles.side)  # the least number of tiles
        inputs = self.prepare(self.tiles.build_tensors([Image.new("L", size)]))
        with torch.no_grad():
            features = module.get_image_features(**fit_inputs(inputs, module), return_dict=True)
        check_positions(len(features.pooler_output[0]), self._count(*size), self.image.side)  # of (N, D)

    def cut_vision(self, module: Any) -> VisionCut:
        """Before the projector, which is trained unless there are adapters."""
        return ModuleCut(module.model.vision_tower, VIEWS)

    def _count(self, width: int, height: int) -> int:
        """Positions of a page of this size."""
        columns, rows = self.tiles.choose_grid(width, height) or (0, 0)
        local = columns * rows * _QUERIES[find_table(self.tiles.side)] if columns else 0
        return local + _QUERIES[find_table(self.tiles.image.side)] + 1


def find_table(side: int) -> str:
    """The table of queries for a square of `side` pixels."""
    return next((name for name, size in _QUERIES.items() if (side // PATCH) ** 2 <= size), "query_1024_resolution")


def build_deepseek_ocr2(module: Any, processor: Any, settings: TrainingSettings) -> PageModel:
    """Wrap a loaded model and its processor. Raises ConfigurationError for a page size that the vision tower does not
    support.
    """
    images = processor.image_processor
    side = settings.image_processor.size
    if side is None:
        side = int(images.size["height"] if images.crop_to_patches else images.tile_size)
    if side % PATCH or side > 1024:
        raise ConfigurationError(
            f"spec.imageProcessor.size: DeepSeek-OCR-2 needs a multiple of {PATCH} up to 1024, got {side}"
        )
    tile = min(side, _TILE if images.tile_size > 1024 else int(images.tile_size))
    tiles = TileRule(read_rule(images, side, "pad"), tile, least=_LEAST_TILES, most=settings.image_processor.max_tiles)
    prompt = get_prompt(settings)
    family = DeepseekOcr2Family(module.config, processor.tokenizer, tiles, prompt)
    if tiles.most and settings.sharding == "full":
        always_see_tiles(module, tiles.side)
    embed_at_places(module.model)
    _set_page_size(processor, tiles)
    set_chat_template(processor, module.config, prompt)
    return PageModel(module, processor, family, module.dtype)


def read_rule(images: Any, side: int, fit: Literal["pad", "stretch"]) -> ImageRule:
    """How this image processor makes a square of `side` pixels of a whole page."""
    return ImageRule(
        side=side,
        fit=fit,
        background=int(images.background_color[0]),
        resample=int(images.resample),
        mean=tuple(images.image_mean),
        std=tuple(images.image_std),
    )


def _set_page_size(processor: Any, tiles: TileRule) -> None:
    """Make the published processor feed what the trainer feeds, without an argument.

    The processor passes its own defaults of cutting 2 to 6 tiles to the image processor instead of what was saved;
    only settings of the tokenizer win over them. With tiles that are larger than any page it cuts none. It counts
    ceil(side / patch_size / downsample_ratio)^2 positions of a square, which must be the number of queries, so the
    ratio is such that the quotient is at most their square root and more than that less one.
    """
    images = processor.image_processor
    images.crop_to_patches = True
    images.size = {"height": tiles.image.side, "width": tiles.image.side}
    images.tile_size = tiles.side if tiles.most else _NO_TILES
    images.max_patches = tiles.most or images.max_patches
    processor.tokenizer.init_kwargs.pop("max_patches", None)
    if tiles.most not in {0, _PASSED_TILES}:
        processor.tokenizer.init_kwargs["max_patches"] = tiles.most
    sides = [tiles.image.side, *([tiles.side] if tiles.most else [])]
    bounds = [(side / processor.patch_size, math.isqrt(_QUERIES[find_table(side)])) for side in sides]
    lowest = max(patches / columns for patches, columns in bounds)
    limit = min(patches / (columns - 1) for patches, columns in bounds)
    if lowest >= limit:
        raise ConfigurationError(
            f"spec.imageProcessor.size: with maxTiles, must be 1024 or up to {tiles.side}, the size of a tile; got "
            f"{tiles.image.side}"
        )
    processor.downsample_ratio = _DOWNSAMPLING if lowest <= _DOWNSAMPLING < limit else (lowest + limit) / 2


def set_chat_template(processor: Any, config: Any, prompt: str) -> None:
    """Write the trained prompt down in the published processor; no template for a prompt with the name of a special
    token, which trains as text and which a processor would read as that token.
    """
    tokenizer = processor.tokenizer
    trained = encode_text(tokenizer, find_special_ids(tokenizer, config), f"\n{prompt}")
    read = tokenizer(f"{processor.image_token}\n{prompt}", add_special_tokens=False)["input_ids"]
    fits = read == [config.image_token_id, *trained]
    processor.chat_template = build_chat_template(processor.image_token, prompt) if fits else None
