"""Pixels as bytes: the host resizes and cuts pages, the device divides and normalises.

The library's processors do both on the host and send four bytes for each pixel. `find_scale` finds out, on random
pages, whether the second part can be left to the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

RAW: Final = {"do_rescale": False, "do_normalize": False}
"""Arguments that make a processor return resized pixels, 0 to 255."""
_PROBES: Final = ((96, 64), (64, 112))
"""Width and height of the pages to compare. Two shapes, because a processor may pad the smaller page with zeros."""


@dataclass(frozen=True)
class PixelScale:
    """Pixels are divided by `divisor`, then normalised by the mean and std of their channel.

    flat: pixels are (N, 3 * n), channel by channel, instead of (N, 3, H, W) or, for grey pages, (N, 1, H, W).
    """

    divisor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flat: bool = False

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 -> float32, on the same device. A grey page, (1, H, W), becomes three channels."""
        mean, std = (_place(values, pixels.device) for values in (self.mean, self.std))  # (3, 1, 1) each
        channels = pixels.view(len(pixels), 3, 1, -1) if self.flat else pixels
        scaled = (channels.float() / self.divisor - mean) / std
        return scaled.view(pixels.shape) if self.flat else scaled


def find_scale(images: Any) -> PixelScale | None:
    """The scale of an image processor; None if it does more to pixels than that, or pads pages.

    images: a processor of the library.
    """
    pages = [_draw_probe(size) for size in _PROBES]
    try:
        scaled = [images(images=[page], return_tensors="pt")["pixel_values"] for page in pages]
        raw = [images(images=[page], return_tensors="pt", **RAW)["pixel_values"] for page in pages]
    except (TypeError, ValueError, KeyError):
        return None
    if len({values.shape[1:] for values in scaled}) > 1 or not all(_is_bytes(values) for values in raw):
        return None
    mean = tuple(images.image_mean) if images.do_normalize else (0.0,) * 3
    std = tuple(images.image_std) if images.do_normalize else (1.0,) * 3
    divisor = 1 / images.rescale_factor if images.do_rescale else 1.0
    scale = PixelScale(divisor, mean, std, flat=raw[0].ndim == 2)
    pairs = zip(raw, scaled, strict=True)
    return scale if all(_is_same(scale, *pair) for pair in pairs) else None


def _is_bytes(values: torch.Tensor) -> bool:
    in_range = bool(((values >= 0) & (values <= 255)).all())
    return values.ndim in {2, 4} and in_range and bool((values == values.round()).all())


def _is_same(scale: PixelScale, raw: torch.Tensor, scaled: torch.Tensor) -> bool:
    if raw.shape != scaled.shape or (scale.flat and raw.shape[1] % 3) or (not scale.flat and raw.shape[-3] != 3):
        return False
    return torch.allclose(scale.apply(raw.to(torch.uint8)), scaled.float(), atol=1e-5, rtol=0)


def _draw_probe(size: Sequence[int]) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise)


@lru_cache(maxsize=16)
def _place(channels: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """(3, 1, 1). Cached, because copying a list to a GPU waits for it."""
    return torch.tensor(channels, device=device).view(-1, 1, 1)
