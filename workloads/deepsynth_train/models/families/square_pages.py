"""Pages as squares of uint8: scaled to one size by the host, sent to the device as bytes, normalised there.

A grey page stays one plane on the way, (1, S, S), and becomes three by the broadcast of its normalisation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from PIL import Image

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.models.families.pixel_scale import PixelScale
from deepsynth_train.models.interface.page_model import HOST_INPUTS

A4: Final = (1240, 1754)
"""Width and height in pixels of an A4 page at 150 dpi."""


@dataclass(frozen=True)
class ImageRule:
    """How a page of any size becomes a square of `side` pixels, exactly as in the published processor.

    fit: "pad" keeps the aspect ratio and centres the page on `background` (grey value), "stretch" ignores the ratio.
    mean, std: per RGB channel, in the range 0 to 1.
    """

    side: int
    fit: Literal["pad", "stretch"]
    background: int
    resample: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def scale(self) -> PixelScale:
        return PixelScale(255, self.mean, self.std)


def build_planes(pages: Sequence[Image.Image], rule: ImageRule) -> torch.Tensor:
    """Pages in mode L or RGB -> uint8, (P, 1, S, S) if all are grey, else (P, 3, S, S)."""
    squares = [np.asarray(fit_page(page, rule)) for page in pages]
    grey = all(square.ndim == 2 for square in squares)
    planes = np.empty((len(pages), 1 if grey else 3, rule.side, rule.side), dtype=np.uint8)
    for target, square in zip(planes, squares, strict=True):
        target[...] = square if square.ndim == 2 else square.transpose(2, 0, 1)  # (S, S, 3) -> (3, S, S)
    return torch.from_numpy(planes)


def fit_page(page: Image.Image, rule: ImageRule) -> Image.Image:
    """Scale to the rule's square: "pad" fits the longer side and fills the rest, "stretch" scales both sides."""
    if rule.fit == "stretch":
        return page.resize((rule.side, rule.side), Image.Resampling(rule.resample))
    scale = rule.side / max(page.size)
    width, height = (max(1, round(length * scale)) for length in page.size)
    scaled = page.resize((width, height), Image.Resampling(rule.resample))
    if (width, height) == (rule.side, rule.side):
        return scaled
    background = rule.background if page.mode == "L" else (rule.background,) * 3
    square = Image.new(page.mode, (rule.side, rule.side), background)
    square.paste(scaled, ((rule.side - width) // 2, (rule.side - height) // 2))
    return square


def check_positions(found: int, reserved: int, side: int) -> None:
    """Raises ConfigurationError when the model turned a page into another number of positions than the prompt has."""
    if found != reserved:
        raise ConfigurationError(
            f"spec.imageProcessor.size: the model turns a page of {side} px into {found} positions, the "
            f"prompt reserves {reserved}; choose a size that the model supports"
        )


def fit_inputs(inputs: Mapping[str, Any], module: Any) -> dict[str, Any]:
    """Move prepared inputs to the device and the dtype of a model's weights."""
    weight = next(module.parameters())

    def fit(name: str, value: Any) -> Any:
        if name in HOST_INPUTS or not isinstance(value, torch.Tensor):
            return value
        return value.to(weight.device, weight.dtype if value.is_floating_point() else None)

    return {name: fit(name, value) for name, value in inputs.items()}
