"""Which family a model belongs to. A family says how pages become inputs, where the label starts, and names the parts.

To add one, write a file next to deepseek_ocr2.py: a class with the members of `page_model.Family`, and a function that
builds it. Name that function in `FAMILIES` under the `model_type` of the model's config.json. sequences.py pads and
joins samples, square_pages.py makes squares of bytes of pages, ../interface/prompts.py renders the prompt.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.families.deepseek_ocr1 import OCR1_TYPE, build_deepseek_ocr1
from deepsynth_train.models.families.deepseek_ocr2 import build_deepseek_ocr2
from deepsynth_train.models.families.encoder_decoder import build_encoder_decoder
from deepsynth_train.models.families.image_text_to_text import build_image_text_to_text
from deepsynth_train.models.interface.page_model import PageModel

Build = Callable[[Any, Any, TrainingSettings], PageModel]
"""(model, processor, settings) -> PageModel. Raises ConfigurationError for settings that the model does not support."""

FAMILIES: Final[Mapping[str, Build]] = {
    "deepseek_ocr2": build_deepseek_ocr2,
    OCR1_TYPE: build_deepseek_ocr1,
    "vision-encoder-decoder": build_encoder_decoder,
}


def list_supported_types() -> set[str]:
    """Values of `model_type` in config.json that a family takes."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return {*FAMILIES, *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES}


def wrap_model(module: Any, processor: Any, settings: TrainingSettings) -> PageModel:
    """The PageModel of a loaded model, by its `model_type`. Raises ConfigurationError if no family takes it."""
    build = FAMILIES.get(module.config.model_type, build_image_text_to_text)
    return build(module, processor, settings)
