"""Glyphs and their order, compared with Pango's in the same fonts."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest

from deepsynth_render.page.fallback import OWN_FAMILY
from deepsynth_render.page.fonts import FONTS, load_font
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.growing import expand_ranges
from deepsynth_render.page.layout import lay_out
from deepsynth_render.page.words import FIRST_GLYPH, GLYPHS, LINE_FEED, SLOT, WordCache
from unit.deepsynth_render.page.pango import Pango
from unit.deepsynth_render.page.test_every_script import ARTICLES

SIZE = 64
CJK = {"Hans": "SC", "Hant": "TC", "Jpan": "JP", "Kore": "KR"}
ENDLESS = Geometry(10**6, 100, 100, 10**6, (0,), 50, 80, 1)


@pytest.fixture(scope="module")
def pango() -> Pango:
    try:
        return Pango()
    except OSError as error:
        pytest.skip(f"needs libpangoft2: {error}")


def shape(text: str, family: str) -> tuple[list[int], float]:
    """Our glyphs of a line from left to right, and the width of the line in pixels."""
    cache = WordCache(load_font("DejaVu Sans"), SIZE, ENDLESS.column_width, 10**6)
    rows, directions = cache.find_pieces(text)
    pieces = cache.pieces.take(rows)
    layout = lay_out(pieces, rows == LINE_FEED, ENDLESS, justify=False, directions=directions)
    placed = pieces[layout.pieces[np.argsort(layout.x, kind="stable")]]
    glyphs = cache.glyphs.take(expand_ranges(placed[:, FIRST_GLYPH], placed[:, GLYPHS]))
    keys = {slot: key for key, slot in cache.atlas._slots.items()}
    used = [keys[slot] for slot in glyphs[:, SLOT].tolist()]
    space = load_font(family).build_shaper(SIZE).get_nominal_glyph(0x20)
    assert {FONTS[font] for font, glyph in used} == {family}
    return [glyph for _, glyph in used if glyph != space], float(pieces[:, 0].sum()) / 64


def keep_letters(text: str) -> str:
    """Letters, marks, joiners and spaces: punctuation may come from another font."""
    kept = (c for c in text if unicodedata.category(c)[0] in "LM" or c in " \u200c\u200d")
    return " ".join("".join(kept).split())


@pytest.mark.parametrize("language", sorted(set(ARTICLES) - {"emoji", "mixed"}))
def test_the_glyphs_of_a_line_are_those_of_pango(pango: Pango, language: str) -> None:
    script, text = ARTICLES[language]
    family = f"Noto Sans CJK {CJK[script]}" if script in CJK else OWN_FAMILY.get(script, "DejaVu Sans")
    text = keep_letters(text)
    expected = pango.shape(text, family, SIZE)
    glyphs, width = shape(text, family)
    assert glyphs == [glyph.number for glyph in expected]
    assert width == pytest.approx(sum(glyph.advance for glyph in expected), rel=0.02)


@pytest.mark.parametrize(
    "text",
    [
        "\u05d0\u05d1 abc \u05d2\u05d3 12 \u05d4 (x) \u05d5",
        "abc \u05d0\u05d1 12 \u05d2\u05d3 def, \u05d4!",
        "\u05d0\u05d1\u05d2 3.14 + 5% (\u05d3 [\u05d4] w) \u05d5",
        "a (\u05d0 b) \u05d1 c: \u05d2",
    ],
)
def test_the_order_of_letters_in_both_directions_is_that_of_pango(pango: Pango, text: str) -> None:
    """Hebrew letters do not join, so each character is a glyph, which shows its place."""
    expected = [glyph.character for glyph in pango.shape(text, "DejaVu Sans", SIZE)]
    cache = WordCache(load_font("DejaVu Sans"), SIZE, ENDLESS.column_width, 10**6)
    rows, directions = cache.find_pieces(text)
    pieces = cache.pieces.take(rows)
    layout = lay_out(pieces, rows == LINE_FEED, ENDLESS, justify=False, directions=directions)
    starts = [0, *np.cumsum(pieces[:, 2]).tolist()]
    assert directions is not None
    drawn: list[str] = []
    for piece in layout.pieces[np.argsort(layout.x, kind="stable")].tolist():
        part = text[slice(*list(pairwise(starts))[piece])].rstrip(" ")
        drawn += part[::-1] if directions.levels[piece] % 2 else part
    assert drawn == expected
