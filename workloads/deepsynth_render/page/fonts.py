"""The font files: where they are, what they contain, their digests. Fonts of the machine are never used."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import freetype
import uharfbuzz

_DISTRIBUTION = "matplotlib"  # located through its metadata, never imported
_FOLDER = "matplotlib/mpl-data/fonts/ttf"
FAMILIES = {
    "DejaVu Sans": "DejaVuSans.ttf",
    "DejaVu Serif": "DejaVuSerif.ttf",
    "DejaVu Sans Mono": "DejaVuSansMono.ttf",
}
"""Font file of each family, in the order of fallback: Sans has the most characters.

Another family also needs its name in FontFamily (deepsynth_api/v1alpha1/settings/rendering_settings.py), `make crds`,
and a package that brings its file.
"""


@dataclass(frozen=True)
class Font:
    """One font file, opened. codepoints: the characters it can draw. ascender, descender: in ems, upwards positive."""

    family: str
    data: bytes
    codepoints: frozenset[int]
    ascender: float
    descender: float

    def build_shaper(self, size_px: int) -> uharfbuzz.Font:
        """A HarfBuzz font that measures in 1/64 px."""
        font = uharfbuzz.Font(uharfbuzz.Face(self.data))
        font.scale = (size_px * 64, size_px * 64)
        return font

    def build_rasteriser(self, size_px: int) -> freetype.Face:
        """A FreeType face at size_px pixels per em."""
        # From memory: FreeType then needs no file name, whose encoding depends on the locale.
        face = freetype.Face.from_bytes(self.data)
        face.set_pixel_sizes(0, size_px)
        return face


@cache
def load_font(family: str) -> Font:
    """Read and open a family's file. Raises KeyError for a family that is not in FAMILIES."""
    data = _find_path(family).read_bytes()
    face = freetype.Face.from_bytes(data)
    return Font(
        family=family,
        data=data,
        codepoints=frozenset(uharfbuzz.Face(data).unicodes),
        ascender=face.ascender / face.units_per_EM,
        descender=face.descender / face.units_per_EM,
    )


def gather_digests() -> dict[str, str]:
    """sha256 of each family's font file, in hexadecimal, by family."""
    return {family: hashlib.sha256(load_font(family).data).hexdigest() for family in FAMILIES}


def _find_path(family: str) -> Path:
    return Path(str(distribution(_DISTRIBUTION).locate_file(f"{_FOLDER}/{FAMILIES[family]}")))
