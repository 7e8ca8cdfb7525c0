"""Font files of users: checked before anything is drawn with them, and what their licenses are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import freetype
import uharfbuzz

from deepsynth_api.errors import ConfigurationError
from deepsynth_render.page.fonts import FILES, Font, build_font

MAX_FONT_BYTES: Final = 64 * 2**20
"""The largest fonts, of Chinese, Japanese and Korean in all weights, have 35 MB."""
_FORMATS: Final = (b"\x00\x01\x00\x00", b"true", b"OTTO", b"ttcf")
"""First bytes of TrueType, OpenType and collections. WOFF files are compressed, and would have to be unpacked first."""
_MAX_EMS: Final = 32
"""Width and height of a glyph: the widest ligatures of Arabic have 20 ems."""
_MAX_MEAN_AREA: Final = 4
"""In square ems, over all glyphs. A page of a font beyond it would need gigabytes."""
_HEIGHTS: Final = (0.2, 5.0)
"""Least and most ems from descender to ascender."""
_MAX_NAME: Final = 500
_LICENSE, _LICENSE_URL, _COPYRIGHT, _VERSION = 13, 14, 0, 5
"""Name IDs of the table `name`."""
_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class FontNames:
    """What a font says about itself, one line each; None if it does not."""

    license: str | None
    license_url: str | None
    copyright: str | None
    version: str | None


def open_font(family: str, data: bytes, face: int, axes: Mapping[str, float], field: str) -> Font:
    """A face and instance of a file. field: path of the FontSource, for messages. Raises ConfigurationError."""
    if family in FILES:
        raise ConfigurationError(f"{field}.name: {family!r} is a family that DeepSynth brings; choose another name")
    if data[:4] not in _FORMATS:
        raise ConfigurationError(
            f"{field}: must be a TrueType or OpenType font (.ttf, .otf, .ttc), got a file that starts with {data[:4]!r}"
        )
    try:
        opened = freetype.Face.from_bytes(data, 0)
        if face >= opened.num_faces:
            raise ConfigurationError(f"{field}.face: must be below {opened.num_faces}, the number of faces, got {face}")
        opened = freetype.Face.from_bytes(data, face)
        _check_axes(opened, axes, f"{field}.axes")
        return build_font(family, data, face, axes)
    except freetype.FT_Exception as error:
        raise ConfigurationError(f"{field}: the font is damaged ({_explain(error)}); use another file") from error


def check_font(font: Font, field: str) -> None:
    """Raise ConfigurationError for a font that cannot be drawn, or only with far too much memory.

    Looks at all glyphs, so it takes up to seconds.
    """
    face = freetype.Face.from_bytes(font.data, font.face)
    if not face.is_scalable:
        raise ConfigurationError(f"{field}: must have outlines, got a font of bitmaps; use another file")
    if not font.codepoints:
        raise ConfigurationError(f"{field}: no character has a glyph in the font (no Unicode cmap); use another file")
    least, most = _HEIGHTS
    if not least <= font.ascender - font.descender <= most:
        raise ConfigurationError(
            f"{field}: from descender to ascender must be {least} to {most} ems, "
            f"got {font.ascender - font.descender:.1f}; use another file"
        )
    try:
        _check_glyphs(font, field)
    except freetype.FT_Exception as error:
        raise ConfigurationError(f"{field}: a glyph is damaged ({_explain(error)}); use another file") from error


def read_names(font: Font) -> FontNames:
    """License, copyright and version of a font, in English."""
    face = uharfbuzz.Face(font.data, font.face)
    names = [_clean(face.get_name(number)) for number in (_LICENSE, _LICENSE_URL, _COPYRIGHT, _VERSION)]
    return FontNames(*names)


def _check_axes(face: Any, axes: Mapping[str, float], field: str) -> None:
    known = {axis.tag: axis for axis in face.get_variation_info().axes} if face.has_multiple_masters else {}
    for tag, value in axes.items():
        if tag not in known:
            has = f"its axes are {', '.join(known)}" if known else "it is not variable"
            raise ConfigurationError(f"{field}: the font has no axis {tag!r}; {has}")
        axis = known[tag]
        if not axis.minimum <= value <= axis.maximum:
            raise ConfigurationError(
                f"{field}.{tag}: must be {axis.minimum:g} to {axis.maximum:g} in this font, got {value:g}"
            )


def _check_glyphs(font: Font, field: str) -> None:
    """The extents of all outlines, without drawing them."""
    face = font.build_rasteriser(64)
    em = 64 * 64  # the extents are in 1/64 px
    area = 0.0
    for glyph in range(face.num_glyphs):
        face.load_glyph(glyph, freetype.FT_LOAD_NO_BITMAP | freetype.FT_LOAD_NO_HINTING)
        metrics = face.glyph.metrics
        width, height = metrics.width / em, metrics.height / em
        if max(width, height) > _MAX_EMS:
            raise ConfigurationError(f"{field}: glyph {glyph} is larger than {_MAX_EMS} ems; use another file")
        area += width * height
    if area > _MAX_MEAN_AREA * max(face.num_glyphs, _MAX_EMS):
        raise ConfigurationError(
            f"{field}: a glyph must have at most {_MAX_MEAN_AREA} square ems on average; use another file"
        )


def _clean(name: str | None) -> str | None:
    cleaned = _BLANKS.sub(" ", name or "").strip()[:_MAX_NAME]
    return cleaned.encode(errors="replace").decode() or None


def _explain(error: freetype.FT_Exception) -> str:
    return str(error).removeprefix("FT_Exception:").strip()
