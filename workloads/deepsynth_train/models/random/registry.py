"""The names behind config:// and what builds them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.models.random.page_reader import build_page_reader_small
from deepsynth_train.models.random.published_size import build_published_deepseek_ocr2
from deepsynth_train.models.random.tiny import build_tiny_deepseek_ocr2, build_tiny_vit_gpt2

Build = Callable[[], tuple[Any, Any]]
"""() -> (model, processor). The caller seeds torch."""

SMALL: Final[Mapping[str, Build]] = {
    "deepseek-ocr2-tiny": build_tiny_deepseek_ocr2,
    "vit-gpt2-tiny": build_tiny_vit_gpt2,
    "page-reader-small": build_page_reader_small,
}
"""Built on the CPU, so that a seed gives the same weights on every device."""
LARGE: Final[Mapping[str, Build]] = {"deepseek-ocr2": build_published_deepseek_ocr2}
"""Built on the device: drawing billions of random numbers takes minutes on a CPU."""


def build_random_model(name: str, device: torch.device, field: str) -> tuple[Any, Any]:
    """The model of config://NAME on `device`, and its processor. Raises ConfigurationError, naming `field`."""
    if name in SMALL:
        module, processor = SMALL[name]()
        return module.to(device), processor
    if name in LARGE:
        with torch.device(device):
            return LARGE[name]()
    raise ConfigurationError(f"{field}: unknown configuration {name!r}; known are {', '.join({**SMALL, **LARGE})}")
