"""DeepSeek-OCR (the first one): SAM and CLIP, a newline after each row of positions, a decoder-only MoE.

The library has no class of this name. Its `unlimited_ocr` is the same architecture with the names of the original
weights, apart from the attention of Unlimited-OCR, which forgets all but the last 128 tokens of what it writes. So the
original files are read with a converted configuration, and published as `unlimited_ocr` with full attention.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.families.deepseek_ocr2 import PATCH, DeepseekOcr2Family, read_rule, set_chat_template
from deepsynth_train.models.families.page_features import embed_at_places
from deepsynth_train.models.families.square_pages import check_positions, fit_inputs
from deepsynth_train.models.families.tiles import TileRule, always_see_tiles
from deepsynth_train.models.interface.page_model import PageModel, Prompt
from deepsynth_train.models.interface.prompts import get_prompt

OCR1_TYPE: Final = "unlimited_ocr"
"""`model_type` of the library's configuration."""
_ARCHITECTURE: Final = "DeepseekOCRForCausalLM"
_FULL: Final = "full_attention"
_MOST_TILES: Final = 9
_LARGEST: Final = 1280
"""Side of a page in pixels, in the largest of the modes that the model was published with."""


class DeepseekOcr1Family(DeepseekOcr2Family):
    """As DeepSeek-OCR-2, with other numbers of positions. With a page of 1024 px and 2 x 3 tiles of 640 px:

    tiles      30 rows of 20 positions and a newline        30 * (20 + 1)
    page       16 rows of 16 positions and a newline        16 * (16 + 1)
    separator                                               1
    """

    def __init__(self, config: Any, tokenizer: Any, tiles: TileRule, prompt: str) -> None:
        super().__init__(config, tokenizer, tiles, prompt)
        self.unused = []

    def build_prompt(self, pages: Sequence[Image.Image]) -> Prompt:
        prompt = super().build_prompt(pages)
        grids = [self.tiles.choose_grid(*page.size) for page in pages]
        counts = torch.tensor([columns * rows for columns, rows in (grid or (0, 0) for grid in grids)])
        extra = {"num_local_patches": counts, "patches_grid": torch.tensor([grid or (1, 1) for grid in grids])}
        return Prompt(prompt.pages, prompt.ids, {**prompt.tensors, **extra})

    def prepare(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The model takes counts as lists."""
        lists = {name: inputs[name].tolist() for name in ("num_local_patches", "patches_grid")}
        return {**super().prepare(inputs), **lists}

    def check(self, module: Any) -> None:
        size = (2 * self.tiles.side, self.tiles.side)
        tensors = self.build_prompt([Image.new("L", size)]).tensors
        with torch.no_grad():
            features = module.get_image_features(**fit_inputs(self.prepare(dict(tensors)), module), return_dict=True)
        check_positions(len(features.pooler_output[0]), self._count(*size), self.image.side)  # of (N, D)

    def _count(self, width: int, height: int) -> int:
        columns, rows = self.tiles.choose_grid(width, height) or (0, 0)
        whole, tile = self.image.side // PATCH, self.tiles.side // PATCH
        return rows * tile * (columns * tile + 1) * (columns > 0) + whole * (whole + 1) + 1


def build_deepseek_ocr1(module: Any, processor: Any, settings: TrainingSettings) -> PageModel:
    """Wrap a loaded model and its processor. Raises ConfigurationError for Unlimited-OCR, and for a page size that the
    model does not support.
    """
    if set(module.config.text_config.layer_types) != {_FULL}:
        raise ConfigurationError(
            "spec.model.uri: Unlimited-OCR forgets what it wrote 128 tokens ago, which cannot be trained; use "
            "hf://deepseek-ai/DeepSeek-OCR"
        )
    images = processor.image_processor
    side = settings.image_processor.size or int(images.size["height"])
    if side % PATCH or side > _LARGEST:
        raise ConfigurationError(
            f"spec.imageProcessor.size: DeepSeek-OCR needs a multiple of {PATCH} up to {_LARGEST}, got {side}"
        )
    most = settings.image_processor.max_tiles
    fit: Any = "stretch" if not most and side <= images.maximum_pad_value else "pad"
    tiles = TileRule(read_rule(images, side, fit), min(side, int(images.tile_size)), least=2, most=most)
    prompt = get_prompt(settings)
    family = DeepseekOcr1Family(module.config, processor.tokenizer, tiles, prompt)
    if tiles.most and settings.sharding == "full":
        always_see_tiles(module, tiles.side)
    embed_at_places(module.model)
    images.size = {"height": side, "width": side}
    images.crop_to_patches = most > 0
    images.tile_size, images.max_patches = tiles.side, most or images.max_patches
    set_chat_template(processor, module.config, prompt)
    return PageModel(module, processor, family, module.dtype)


def is_deepseek_ocr1(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is the original one of DeepSeek-OCR."""
    return _ARCHITECTURE in (config.get("architectures") or []) and "language_config" in config


def convert_config(config: Mapping[str, Any]) -> Any:
    """The original config.json -> the library's configuration of the same model."""
    from transformers import UnlimitedOcrConfig, UnlimitedOcrTextConfig

    known = {*UnlimitedOcrTextConfig.__annotations__, "first_k_dense_replace"} - {"layer_types", "sliding_window"}
    text = {name: value for name, value in config["language_config"].items() if name in known}
    text["layer_types"] = [_FULL] * text.get("num_hidden_layers", 12)
    vision = config.get("vision_config") or {}
    converted = UnlimitedOcrConfig(
        text_config=text,
        vision_config=vision
        if "sam_config" in vision
        else None,  # the original names no sizes but those of SAM and CLIP
        image_token_id=config.get("image_token_id", 128815),
    )
    converted.dtype = config.get("torch_dtype") or config.get("dtype")
    return converted


def build_processor(folder: Path) -> Any:
    """The library's processor for the original files, which bring a processor of their own."""
    from transformers import PreTrainedTokenizerFast, UnlimitedOcrImageProcessor, UnlimitedOcrProcessor

    return UnlimitedOcrProcessor(  # type: ignore[no-untyped-call]  # the library's constructor
        image_processor=UnlimitedOcrImageProcessor(max_patches=_MOST_TILES),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(folder),
    )
