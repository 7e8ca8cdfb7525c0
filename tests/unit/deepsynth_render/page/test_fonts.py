"""The font files."""

import itertools

import freetype
import numpy as np
import pytest

from deepsynth_api.v1alpha1.settings.font_settings import BUNDLED_FAMILIES
from deepsynth_render.page.fonts import BOLD, FAMILIES, FILES, FontStyle, find_styled, gather_digests, load_font
from deepsynth_render.page.glyphs import HEIGHT, PHASES, Bitmaps, GlyphAtlas


def test_fonts_are_files_with_known_digests() -> None:
    digests = gather_digests()
    assert list(digests)[: len(FAMILIES)] == list(FAMILIES)
    files = {file.locate() for file in FILES.values()}
    assert len(digests) == len(set(digests.values())) == len(files)
    for first, second in itertools.pairwise(FAMILIES):
        assert load_font(first).data != load_font(second).data


def test_a_variable_font_is_drawn_at_its_regular_weight() -> None:
    """The default weight of Noto Sans CJK is thin, of Noto Emoji light."""
    assert load_font("DejaVu Sans").variation == {}
    assert load_font("Noto Sans CJK JP").variation == {"wght": 400}
    face = load_font("Noto Sans CJK JP").build_rasteriser(40)
    assert face.get_var_design_coords() == (400,)
    thin = load_font("Noto Sans CJK JP").build_rasteriser(40)
    thin.set_var_design_coords([100])
    regular_ink, thin_ink = (_measure_ink(font) for font in (face, thin))
    assert regular_ink > 1.5 * thin_ink


def _measure_ink(face: freetype.Face) -> int:
    face.load_char("\u6c38", freetype.FT_LOAD_RENDER)
    return sum(face.glyph.bitmap.buffer)


def test_the_faces_of_a_collection_differ() -> None:
    japanese, chinese = (
        load_font(family).build_shaper(20).get_nominal_glyph(ord("\u76f4"))
        for family in ("Noto Sans CJK JP", "Noto Sans CJK SC")
    )
    assert japanese != chinese


def test_a_spec_may_name_every_family_and_no_other() -> None:
    assert set(BUNDLED_FAMILIES) == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_bold_and_italic_letters(family: str) -> None:
    def draw(*, bold: bool, italic: bool) -> bytes:
        font = find_styled(family, bold=bold, italic=italic)
        atlas = GlyphAtlas([font.family], 40, font.style)
        atlas.find_slot(0, font.build_shaper(40).get_nominal_glyph(ord("l")))
        return atlas.read_ink().tobytes()

    assert len({draw(bold=bold, italic=italic) for bold in (False, True) for italic in (False, True)}) == 4


def test_letters_of_other_scripts_are_bold_by_the_weight_of_their_font() -> None:
    bold = load_font("Noto Sans Arabic", FontStyle(BOLD))
    assert bold.variation["wght"] == 700


def test_atlases_of_two_sizes_share_their_bitmaps() -> None:
    shared = Bitmaps()
    small, large = (GlyphAtlas(["DejaVu Sans"], size, bitmaps=shared) for size in (10, 20))
    slots = [atlas.find_slot(0, 36) for atlas in (small, large, small)]
    assert slots[0] == slots[2] != slots[1]
    heights = shared.boxes.take(np.array(slots[:2]) * PHASES)[:, HEIGHT]
    assert heights[0] < heights[1]
