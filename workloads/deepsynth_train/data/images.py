"""An encoded page of any size and mode -> the square of pixels that the model takes."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from deepsynth_api.errors import DataError
from deepsynth_train.models.page_model import ImageRule


def decode_page(content: bytes, rule: ImageRule, where: str) -> NDArray[np.uint8]:
    """PNG or JPEG bytes -> (3, S, S), uint8. Raises DataError, naming `where`, for bytes that are not an image."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            picture = image.convert("L" if image.mode in {"1", "L", "I;16"} else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{where}: cannot decode the page ({error}); render or upload it again") from error
    fitted = fit_page(picture, rule)
    pixels = np.asarray(fitted)
    if pixels.ndim == 2:
        return np.broadcast_to(pixels, (3, *pixels.shape))  # (S, S) -> (3, S, S), without a copy
    return pixels.transpose(2, 0, 1)  # (S, S, 3) -> (3, S, S)


def fit_page(picture: Image.Image, rule: ImageRule) -> Image.Image:
    """Scale to the rule's square: "pad" fits the longer side and fills the rest, "stretch" scales both sides."""
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
