"""The font files: where they are, what they contain, their digests. Fonts of the machine are never used."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final, NamedTuple

import freetype
import uharfbuzz

from deepsynth_render.page import noto

REGULAR: Final = 400
"""Weight at which variable fonts are drawn. The default of some is thin."""
BOLD: Final = 700


class FontStyle(NamedTuple):
    """How a font is drawn. weight: of variable fonts. italic: fonts without a face of their own for it are slanted."""

    weight: int = REGULAR
    italic: bool = False


UPRIGHT: Final = FontStyle()


class FontFile(NamedTuple):
    """A file of an installed distribution, which is located through its metadata and never imported, or one of ours.

    path: below the distribution's root; whole if distribution is "". face: index in a collection (.ttc).
    """

    distribution: str
    path: str
    face: int = 0

    def locate(self) -> Path:
        return Path(str(distribution(self.distribution).locate_file(self.path)) if self.distribution else self.path)


def _noto(name: str) -> FontFile:
    return FontFile("manimgx-fonts", f"manimgx_fonts/{name}[wght].ttf")


def _western(name: str, suffix: str = "[wdth,wght]") -> FontFile:
    folder = f"justmytype_western_core/fonts/ofl/{name.lower()}"
    return FontFile("justmytype-western-core", f"{folder}/{name}{suffix}.ttf")


def _cjk(face: int) -> FontFile:
    return FontFile("manimgx-fonts-cjk", "manimgx_fonts_cjk/NotoSansCJK-VF.otf.ttc", face)


def _bundled(family: str) -> FontFile:
    return FontFile("", str(noto.locate(family)))


FAMILIES: Final = {
    "DejaVu Sans": FontFile("matplotlib", "matplotlib/mpl-data/fonts/ttf/DejaVuSans.ttf"),
    "DejaVu Serif": FontFile("matplotlib", "matplotlib/mpl-data/fonts/ttf/DejaVuSerif.ttf"),
    "DejaVu Sans Mono": FontFile("matplotlib", "matplotlib/mpl-data/fonts/ttf/DejaVuSansMono.ttf"),
    "Noto Sans": _noto("NotoSans"),
    "Noto Serif": _western("NotoSerif"),
    "Noto Sans Mono": _western("NotoSansMono"),
}
"""Font file of each family that a spec may name.

Another family also needs its name in BUNDLED_FAMILIES (deepsynth_api/v1alpha1/settings/font_settings.py), `make crds`,
and a package that brings its file.
"""

STYLED: Final = {
    ("DejaVu Sans", True, False): "DejaVu Sans Bold",
    ("DejaVu Sans", False, True): "DejaVu Sans Oblique",
    ("DejaVu Sans", True, True): "DejaVu Sans Bold Oblique",
    ("DejaVu Serif", True, False): "DejaVu Serif Bold",
    ("DejaVu Serif", False, True): "DejaVu Serif Italic",
    ("DejaVu Serif", True, True): "DejaVu Serif Bold Italic",
    ("DejaVu Sans Mono", True, False): "DejaVu Sans Mono Bold",
    ("DejaVu Sans Mono", False, True): "DejaVu Sans Mono Oblique",
    ("DejaVu Sans Mono", True, True): "DejaVu Sans Mono Bold Oblique",
}
"""(family, whether bold, whether italic) -> the family of that style, where it has a file of its own."""

_STYLED_FILES: Final = {
    styled: FontFile(
        "matplotlib",
        f"matplotlib/mpl-data/fonts/ttf/{family.replace(' ', '')}-{styled[len(family) :].replace(' ', '')}.ttf",
    )
    for (family, _, _), styled in STYLED.items()
}

_CHAIN: Final = {
    "Noto Sans Symbols": _noto("NotoSansSymbols"),
    "Noto Emoji": _noto("NotoEmoji"),
    "Noto Sans CJK JP": _cjk(0),
    "Noto Sans CJK KR": _cjk(1),
    "Noto Sans CJK SC": _cjk(2),
    "Noto Sans CJK TC": _cjk(3),
    "Noto Sans Arabic": _noto("NotoSansArabic"),
    "Noto Sans Armenian": _noto("NotoSansArmenian"),
    "Noto Sans Bengali": _noto("NotoSansBengali"),
    "Noto Sans Devanagari": _noto("NotoSansDevanagari"),
    "Noto Sans Ethiopic": _noto("NotoSansEthiopic"),
    "Noto Sans Georgian": _noto("NotoSansGeorgian"),
    "Noto Sans Gujarati": _noto("NotoSansGujarati"),
    "Noto Sans Gurmukhi": _noto("NotoSansGurmukhi"),
    "Noto Sans Hebrew": _noto("NotoSansHebrew"),
    "Noto Sans Kannada": _noto("NotoSansKannada"),
    "Noto Sans Khmer": _noto("NotoSansKhmer"),
    "Noto Sans Lao": _noto("NotoSansLao"),
    "Noto Sans Malayalam": _noto("NotoSansMalayalam"),
    "Noto Sans Myanmar": _noto("NotoSansMyanmar"),
    "Noto Sans Oriya": _noto("NotoSansOriya"),
    "Noto Sans Sinhala": _noto("NotoSansSinhala"),
    "Noto Sans Tamil": _noto("NotoSansTamil"),
    "Noto Sans Telugu": _noto("NotoSansTelugu"),
    "Noto Sans Thai": _noto("NotoSansThai"),
    "Noto Sans Symbols 2": _western("NotoSansSymbols2", "-Regular"),
    **{family: _bundled(family) for family in noto.SHARED},
}
_SINGLE: Final = {family: _bundled(family) for family in noto.FAMILIES.values()}

KERNS_NEIGHBOURS: Final = frozenset(family for family in [*FAMILIES, *STYLED.values()] if family.startswith("DejaVu"))
"""Families of which each letter of a Latin word has the glyph and the place that it has after its neighbour alone.

Except in words with a pair of letters that becomes something else, such as a ligature. The tests read it in the files.
"""

FALLBACK: Final = _CHAIN | _SINGLE
"""Font file of each family that only draws what the families above lack.

They are licensed under the SIL Open Font License 1.1.
"""

FALLBACK_ORDER: Final = tuple(family for family, file in _CHAIN.items() if file.face == 0)
"""Those of FALLBACK that are tried for all characters, in order. The others draw letters of one script only."""

FILES: Final = FAMILIES | _STYLED_FILES | FALLBACK

FONTS: Final = list(FILES)
"""Families by their index in an atlas. Those of spec.fonts come last: see register_fonts."""


@dataclass(frozen=True)
class Font:
    """One font file, opened. codepoints: the characters it can draw. ascender, descender: in ems, upwards positive.

    face: index in the file. variation: the axes of a variable font, {} for another one.
    """

    family: str
    style: FontStyle
    data: bytes
    face: int
    variation: dict[str, float]
    ascender: float
    descender: float

    @cached_property
    def codepoints(self) -> frozenset[int]:
        return frozenset(self._harfbuzz_face.unicodes)

    @property
    def glyph_count(self) -> int:
        return int(self._harfbuzz_face.glyph_count)

    @cached_property
    def _harfbuzz_face(self) -> uharfbuzz.Face:
        return uharfbuzz.Face(self.data, self.face)

    @cached_property
    def _unscaled(self) -> uharfbuzz.Font:
        return uharfbuzz.Font(self._harfbuzz_face)

    def has_variant(self, character: str, selector: str) -> bool:
        """Whether the font draws a character in another way before a variation selector."""
        variant = self._unscaled.get_variation_glyph(ord(character), ord(selector))
        return variant is not None and variant != self._unscaled.get_nominal_glyph(ord(character))

    @property
    def is_slanted(self) -> bool:
        """Whether it is drawn slanted, because it has no italic face of its own."""
        return self.style.italic and self.family not in _STYLED_FILES

    def build_shaper(self, size_px: int) -> uharfbuzz.Font:
        """A HarfBuzz font that measures in 1/64 px."""
        font = uharfbuzz.Font(self._harfbuzz_face)
        font.scale = (size_px * 64, size_px * 64)
        if self.variation:
            font.set_variations(self.variation)
        return font

    def build_rasteriser(self, size_px: int) -> freetype.Face:
        """A FreeType face at size_px pixels per em."""
        face = _open_with_freetype(self.data, self.face)
        if self.variation:
            face.set_var_design_coords(list(self.variation.values()))
        face.set_pixel_sizes(0, size_px)
        return face


def find_styled(family: str, *, bold: bool, italic: bool) -> Font:
    """The font for bold or italic text of a family."""
    style = FontStyle(BOLD if bold else REGULAR, italic)
    return load_font(STYLED.get((family, bold, italic), family), style)


_used: dict[tuple[str, FontStyle], Font] = {}
"""Fonts of spec.fonts, upright and in the styles that were asked for."""


def register_fonts(fonts: Iterable[Font]) -> None:
    """Have this process draw with fonts of spec.fonts too, in place of those of an earlier call.

    Call it through fallback.use_fonts, which forgets what was found without them.
    """
    _used.clear()
    _used.update(((font.family, UPRIGHT), font) for font in fonts)
    FONTS[len(FILES) :] = [family for family, _ in _used]


def list_used() -> list[str]:
    """The families of spec.fonts, in its order."""
    return FONTS[len(FILES) :]


def load_font(family: str, style: FontStyle = UPRIGHT) -> Font:
    """Read and open a family's file. Raises KeyError for a family that is not in FONTS."""
    if family in FILES:
        return _load_bundled(family, style)
    if (family, style) not in _used:
        font = _used[family, UPRIGHT]
        _used[family, style] = build_font(family, font.data, font.face, font.variation, style)
    return _used[family, style]


@cache
def _load_bundled(family: str, style: FontStyle) -> Font:
    file = FILES[family]
    return build_font(family, _read(file.locate()), file.face, {}, style)


def build_font(family: str, data: bytes, index: int, axes: Mapping[str, float], style: FontStyle = UPRIGHT) -> Font:
    """Open a face of a file. axes: of a variable font; those that are not named have their default, the weight that
    of the style. A weight that is named is only raised.

    Raises freetype.FT_Exception for data that is no font.
    """
    face = _open_with_freetype(data, index)
    found = face.get_variation_info().axes if face.has_multiple_masters else []
    variation = {axis.tag: _find_value(axis, axes.get(axis.tag), style.weight) for axis in found}
    return Font(
        family=family,
        style=style,
        data=data,
        face=index,
        variation=variation,
        ascender=face.ascender / face.units_per_EM,
        descender=face.descender / face.units_per_EM,
    )


def _find_value(axis: Any, named: float | None, weight: int) -> float:
    if axis.tag != "wght" or (named is not None and weight == REGULAR):
        return float(axis.default if named is None else named)
    return float(min(max(weight, named or axis.minimum), axis.maximum))


@cache
def _read(path: Path) -> bytes:
    """A file once, however many faces it has."""
    return path.read_bytes()


def _open_with_freetype(data: bytes, face: int) -> freetype.Face:
    # From memory: FreeType then needs no file name, whose encoding depends on the locale.
    return freetype.Face.from_bytes(data, face)


def gather_digests() -> dict[str, str]:
    """sha256 of each font file, in hexadecimal, by family. A collection is listed once, by its first face."""
    return {family: _hash(file.locate()) for family, file in FILES.items() if file.face == 0}


def _hash(path: Path) -> str:
    """Piece by piece: most of the 57 MB are of scripts that no page of a dataset has, and need not stay in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
