"""An encoded page of any size and mode as the square that the model takes."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from deepsynth_api.errors import DataError
from deepsynth_train.models.page_model import ImageRule


def decode_page(content: bytes, rule: ImageRule, where: str) -> NDArray[np.uint8]:
    """uint8 of shape (3, side, side). Raises DataError that names `where` for bytes that are no picture."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            picture = image.convert("L" if image.mode in {"1", "L", "I;16"} else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{where}: the page cannot be decoded ({error}); render or upload it again") from error
    fitted = fit_page(picture, rule)
    pixels = np.asarray(fitted)
    if pixels.ndim == 2:
        return np.broadcast_to(pixels, (3, *pixels.shape))
    return pixels.transpose(2, 0, 1)


def fit_page(picture: Image.Image, rule: ImageRule) -> Image.Image:
    """Scale to the rule's square: the longer side fits and the rest is background, or both sides are stretched."""
    if rule.fit == "stretch":
        return picture.resize((rule.side, rule.side), Image.Resampling(rule.resample))
    scale = rule.side / max(picture.size)
    width, height = (round(length * scale) for length in picture.size)
    scaled = picture.resize((width, height), Image.Resampling(rule.resample))
    if (width, height) == (rule.side, rule.side):
        return scaled
    background = rule.background if picture.mode == "L" else (rule.background,) * 3
    square = Image.new(picture.mode, (rule.side, rule.side), background)
    square.paste(scaled, ((rule.side - width) // 2, (rule.side - height) // 2))
    return square
