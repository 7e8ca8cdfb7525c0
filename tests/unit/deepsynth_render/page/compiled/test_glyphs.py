"""The compiled drawing of glyphs: equal to its twin in Python."""

import ctypes

import pytest

from deepsynth_render.page.compiled.loading import core
from deepsynth_render.page.fonts import BOLD, FontStyle, load_font
from deepsynth_render.page.glyphs import FULL_INK, LIBRARY, LOAD, draw_in_python


@pytest.mark.parametrize(
    "family", ["DejaVu Sans", "DejaVu Serif", "Noto Sans Hebrew", "Noto Sans CJK JP", "Noto Emoji"]
)
@pytest.mark.parametrize("levels", [FULL_INK, 3])
@pytest.mark.parametrize(("slant", "weight"), [(0, 400), (0x3333, BOLD)])
def test_c_and_python_draw_the_same_glyphs(family: str, levels: int, slant: int, weight: int) -> None:
    font = load_font(family, FontStyle(weight, italic=False))
    face, step = font.build_rasteriser(11), font.glyph_count // 200 + 1
    address = ctypes.cast(face._FT_Face, ctypes.c_void_p).value or 0
    inked = 0
    for glyph in range(0, font.glyph_count, step):
        drawn = core.draw_glyph(LIBRARY, address, glyph, LOAD, slant, levels)
        assert drawn == draw_in_python(face, glyph, slant, levels)
        inked += any(drawn[1])
    assert inked > 20


def test_a_glyph_that_a_font_lacks_is_an_error_of_freetype() -> None:
    font = load_font("DejaVu Sans")
    face = font.build_rasteriser(11)
    address = ctypes.cast(face._FT_Face, ctypes.c_void_p).value or 0
    error, *_ = core.draw_glyph(LIBRARY, address, font.glyph_count, LOAD, 0, FULL_INK)
    assert error == draw_in_python(face, font.glyph_count, 0, FULL_INK)[0] != 0


def test_what_cannot_be_drawn_with_is_an_error() -> None:
    with pytest.raises(ValueError, match="levels: must be 3 or 15"):
        core.draw_glyph(LIBRARY, 0, 1, LOAD, 0, 4)
