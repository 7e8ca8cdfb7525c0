"""An encoded page of any format, size and mode -> a picture in mode L or RGB.

Pages are read as a viewer shows them: upright (EXIF orientation), on white where they are transparent, with 16-bit and
float greys scaled to 8 bits, and only the first frame of an animation.
"""

import io
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from deepsynth_api.errors import DataError

FORMATS: Final = frozenset(
    {"AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP"}
)
"""Formats of Pillow that hold a picture. Others start programs (EPS needs Ghostscript) or are seldom tested."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_GREY: Final = frozenset({"1", "L", "LA", "La"})
_ORIENTATION: Final = 0x0112
"""EXIF tag. Its values 2 to 8 say what must be done to show the page upright."""
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED: Final = frozenset({5, 6, 7, 8})
"""Values that swap width and height."""
_MAY_TURN: Final = (b"eXIf", b"Raw profile type", b"Orientation")
"""What a PNG with an orientation holds. Pillow decodes the pixels of a PNG before it reads them."""
_RAW_STEPS: Final = {"L;2": 85, "L;4": 17}
"""PNG with 2 or 4 bits per grey pixel: what Pillow multiplies pixels by, but not the transparent grey."""


def read_page(content: bytes, where: str) -> Image.Image:
    """Encoded image -> the page as a viewer shows it, in mode L or RGB.

    Raises DataError, naming `where` (a row and its dataset), for bytes that are not a complete image of a known format
    or that hold more pixels than Pillow's limit.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            _check_header(image, where)
            raw_mode = _read_raw_mode(image)
            image.load()
            return _turn_upright(image, _flatten(image, raw_mode))
    except (DataError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{where}: the page is not an image; render or upload it again") from error
    except Exception as error:  # Pillow's decoders raise errors of many classes for damaged files
        raise _explain(error, where) from error


def read_size(content: bytes, where: str) -> tuple[int, int]:
    """Width and height of the page that `read_page` returns, from the header of the image. Errors: see there."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            _check_header(image, where)
            width, height = image.size
            if image.format == "TIFF" or (image.format == "PNG" and not any(mark in content for mark in _MAY_TURN)):
                return width, height  # Pillow opens a TIFF upright
            return (height, width) if _read_orientation(image) in _TURNED else (width, height)
    except (DataError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{where}: the page is not an image; render or upload it again") from error
    except Exception as error:  # as in read_page
        raise _explain(error, where) from error


def check_page(content: bytes, where: str) -> None:
    """Raise DataError, as `read_page` would, for a damaged page. Pixels are decoded only if that is in doubt.

    A PNG is checked by the checksums of its chunks, a JPEG and a WebP by its end, other formats by their headers.
    """
    read_size(content, where)
    if not _looks_whole(content):
        read_page(content, where)


def _looks_whole(content: bytes) -> bool:
    if content.startswith(_PNG):
        return _has_whole_chunks(content)
    if content.startswith(b"\xff\xd8"):
        return content.rfind(b"\xff\xd9") > 0
    if content.startswith(b"RIFF"):
        return int.from_bytes(content[4:8], "little") + 8 <= len(content)
    return True


def _has_whole_chunks(content: bytes) -> bool:
    """PNG: length (4), kind (4), data, CRC-32 of kind and data (4); the last kind is IEND."""
    view, start = memoryview(content), len(_PNG)
    while start + 12 <= len(content):
        end = start + 8 + int.from_bytes(view[start : start + 4])
        if zlib.crc32(view[start + 4 : end]) != int.from_bytes(view[end : end + 4]):
            return False
        if content[start + 4 : start + 8] == b"IEND":
            return True
        start = end + 4
    return False


def _explain(error: Exception, where: str) -> DataError:
    reason = str(error) or type(error).__name__
    return DataError(f"{where}: cannot decode the page ({reason}); render or upload it again")


def _check_header(image: Image.Image, where: str) -> None:
    if image.format not in FORMATS:
        raise DataError(f"{where}: {image.format} is not supported; the formats are {', '.join(sorted(FORMATS))}")
    if not all(image.size):
        raise DataError(f"{where}: the image has no pixels ({image.width} x {image.height}); upload it again")


def _flatten(image: Image.Image, raw_mode: str) -> Image.Image:
    """Mode L or RGB, on white."""
    if image.mode.startswith(("I", "F")):
        return _reduce_depth(image)
    _fit_transparent_colour(image, raw_mode)
    mode = "L" if image.mode in _GREY else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode)
    layers = image.convert(f"{mode}A")
    picture = Image.new(mode, image.size, "white")
    picture.paste(layers.convert(mode), mask=layers.getchannel("A"))
    return picture


def _reduce_depth(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or float -> L. Pillow's own conversion clips at 255, so that most pixels turn white.

    16 bits are scaled from 0..65535. Wider types do not say what white is: values up to 1 (float), 255 or 65535 are
    taken as such a scale, others are stretched between their minimum and maximum.
    """
    values = np.asarray(image)  # (H, W)
    if image.mode.startswith("I;16"):
        levels = ((values.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)  # as round(value * 255 / 65535)
    else:
        levels = _stretch(values.astype(np.float64), (1, 255, 65535) if image.mode == "F" else (255, 65535))
    if isinstance(transparent := image.info.get("transparency"), int):
        levels[values == transparent] = 255
    return Image.fromarray(levels)


def _stretch(values: NDArray[np.float64], scales: Sequence[int]) -> NDArray[np.uint8]:
    """Scale to 0..255 from the first of `scales` that holds all values, else from the lowest and highest value.

    NaN is white.
    """
    values = np.nan_to_num(values, nan=np.inf, posinf=np.inf, neginf=-np.inf)
    finite = values[np.isfinite(values)]
    black, white = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if black >= 0 and (scale := next((scale for scale in scales if white <= scale), 0)):
        black, white = 0.0, float(scale)
    span = white - black or 1.0
    levels = np.clip((values - black) / span, 0, 1) * 255
    return np.rint(levels).astype(np.uint8)


def _read_raw_mode(image: Any) -> str:
    """How pixels are stored, such as `L;4`; "" if the decoder does not say. Known only before the image is loaded."""
    arguments = image.tile[0][3] if getattr(image, "tile", None) else ""
    return arguments if isinstance(arguments, str) else ""


def _fit_transparent_colour(image: Image.Image, raw_mode: str) -> None:
    """Scale the transparent colour (PNG's tRNS) to 8 bits, as Pillow has scaled the pixels."""
    colour = image.info.get("transparency")
    if isinstance(colour, tuple) and raw_mode.endswith(";16B"):
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    elif isinstance(colour, int) and raw_mode in _RAW_STEPS:
        image.info["transparency"] = colour * _RAW_STEPS[raw_mode]


def _turn_upright(image: Image.Image, picture: Image.Image) -> Image.Image:
    """Apply the EXIF orientation of `image` to `picture`."""
    method = _UPRIGHT.get(_read_orientation(image))
    return picture.transpose(method) if method is not None else picture


def _read_orientation(image: Image.Image) -> int:
    """1 to 8. EXIF data that cannot be read is ignored, as viewers do."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - as many classes as for pixels
        return 1
