"""Pages that look like scans: rotated, blurred, on paper, pale, noisy. Text stays readable, and on the page.

    ink --rotate, blur--> softer ink --contrast, paper--> shades of gray --noise--> --JPEG, or PNG of 8 bits-->

All that is random comes from the seed of the spec, the document and the number of the page, so a page is the same in
each run and in any shard.
"""

import io
import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from deepsynth_api.v1alpha1.settings.augmentation_settings import AugmentationSettings
from deepsynth_render.page.png import Compression, encode_levels

Levels = NDArray[np.uint8]
"""(height, width), 0 black to 255 white."""

MAX_QUALITY: Final = 95
_EMS_PER_BLUR: Final = 10
"""Letters can be read up to this limit, which the CRD has too."""
_STAIN_PX: Final = 64
"""Distance between points of the paper whose shades are independent."""
_SUMMANDS: Final = 4
_SPREAD: Final = math.sqrt(_SUMMANDS * (256**2 - 1) / 12)
"""Standard deviation of the sum of _SUMMANDS random bytes, which is nearly normal."""


@dataclass(frozen=True)
class Augmented:
    """An encoded page. angle: by which it is rotated around its center, in radians, clockwise."""

    image: bytes
    angle: float


class Augmenter:
    """Changes pages as spec.page.augmentation says. seed: spec.page.seed. font_size_px: of the pages."""

    def __init__(
        self, settings: AugmentationSettings, seed: int, compression: Compression, *, font_size_px: int
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._compression = compression
        # The spec's sizes are checked at admission, but spec.page.fit may choose a smaller one.
        self._blur = min(float(settings.blur_px), font_size_px / _EMS_PER_BLUR)
        self._skew = math.radians(float(settings.skew_degrees))

    def augment(self, page: Levels, key: str) -> Augmented | None:
        """None for a page that stays clean. key: of the document and the page."""
        settings, random = self._settings, self._build_random(key)
        if random.integers(100) >= settings.percent:
            return None
        angle = limit_angle(page, random.uniform(-self._skew, self._skew))
        page = blur(rotate(page, angle), random.uniform(0, self._blur))
        page = fade(page, int(random.integers(settings.contrast_percent + 1)))
        page = print_on(page, build_paper_levels(page.shape, settings.paper, random))
        page = add_noise(page, random.uniform(0, settings.noise), random)
        return Augmented(self._encode(page, random), angle)

    def _build_random(self, key: str) -> np.random.Generator:
        digest = blake2b(f"augmentation {self._seed} {key}".encode(errors="surrogatepass"), digest_size=16).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))

    def _encode(self, page: Levels, random: np.random.Generator) -> bytes:
        if self._settings.jpeg_quality is None:
            return encode_levels(page, self._compression)
        file = io.BytesIO()
        quality = random.integers(self._settings.jpeg_quality, MAX_QUALITY, endpoint=True)
        Image.fromarray(page).save(file, "JPEG", quality=int(quality))
        return file.getvalue()


def limit_angle(page: Levels, angle: float) -> float:
    """The angle, or the largest one of its direction that keeps all ink on the page."""
    height, width = page.shape
    inked = page < 255
    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return angle
    x = max(width / 2 - columns[0], columns[-1] + 1 - width / 2)
    y = max(height / 2 - rows[0], rows[-1] + 1 - height / 2)
    # The corner (x, y) goes to x cos + y sin, at most x + y sin; the interpolation adds a pixel.
    room = min((width / 2 - 1 - x) / max(y, 1), (height / 2 - 1 - y) / max(x, 1))
    most = math.asin(min(max(room, 0.0), 1.0))
    return max(-most, min(most, angle))


def rotate(page: Levels, angle: float) -> Levels:
    """The page rotated clockwise around its center, on white."""
    if not angle:
        return page
    height, width = page.shape
    cos, sin, x, y = math.cos(angle), math.sin(angle), width / 2, height / 2
    # Where each pixel of the result comes from: the rotation to the other side.
    matrix = (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y)
    turned = Image.fromarray(page).transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=255
    )
    return np.asarray(turned)


def blur(page: Levels, radius: float) -> Levels:
    """radius: standard deviation in pixels."""
    return np.asarray(Image.fromarray(page).filter(ImageFilter.GaussianBlur(radius))) if radius else page


def fade(page: Levels, percent: int) -> Levels:
    """The page with so much less ink."""
    ink = (255 - page).astype(np.uint16) * np.uint16(100 - percent) // np.uint16(100)
    return (255 - ink).astype(np.uint8)


def build_paper_levels(shape: tuple[int, ...], strength: int, random: np.random.Generator) -> Levels:
    """Levels of an empty page: a shade, and stains; at most `strength` darker than white."""
    height, width = shape
    shade = random.integers(strength // 2 + 1)
    stains = random.integers(
        0, strength - shade, (2 + height // _STAIN_PX, 2 + width // _STAIN_PX), np.uint8, endpoint=True
    )
    smooth = Image.fromarray(stains).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(255 - shade - np.asarray(smooth), np.uint8)


def print_on(page: Levels, paper: Levels) -> Levels:
    """The product of both, as ink absorbs light."""
    return (page.astype(np.uint16) * paper // np.uint16(255)).astype(np.uint8)


def add_noise(page: Levels, deviation: float, random: np.random.Generator) -> Levels:
    """deviation: standard deviation, in levels. Integers only, so that all machines agree."""
    factor = round(deviation / _SPREAD * 2**16)
    if not factor:
        return page
    summands = random.integers(0, 256, (_SUMMANDS, *page.shape), np.uint8)
    noise = (summands.sum(axis=0, dtype=np.int32) - _SUMMANDS * 255 // 2) * factor >> 16
    return np.asarray((page + noise).clip(0, 255), np.uint8)
