"""The font files."""

import itertools
from typing import get_args

import freetype

from deepsynth_api.v1alpha1.settings.rendering_settings import FontFamily
from deepsynth_render.page.fonts import FAMILIES, FILES, gather_digests, load_font


def test_fonts_are_files_of_installed_packages_with_known_digests() -> None:
    digests = gather_digests()
    assert list(digests)[: len(FAMILIES)] == list(FAMILIES)
    files = {(file.distribution, file.path) for file in FILES.values()}
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
    assert set(get_args(FontFamily)) == set(FAMILIES)
