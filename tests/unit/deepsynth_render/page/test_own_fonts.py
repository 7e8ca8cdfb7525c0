"""Fonts that users bring: what is refused, and what is drawn with them."""

import contextlib
import random
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_render.page.fallback import find_undrawable, list_families, use_fonts
from deepsynth_render.page.fonts import Font, find_styled
from deepsynth_render.page.own_fonts import check_font, open_font, read_names
from deepsynth_render.reporting.dropped import RefusedDocument
from support.small_fonts import LICENSE, LICENSE_URL, build_collection, build_font_file
from unit.deepsynth_render.page.page_images import build_renderer, measure_ink

FIELD = "spec.fonts[0]"
PRIVATE = "\ue000"


@pytest.fixture(autouse=True)
def _forget_fonts() -> Iterator[None]:
    yield
    use_fonts([])


def load(data: bytes, face: int = 0, name: str = "Mine", axes: Mapping[str, float] | None = None) -> Font:
    font = open_font(name, data, face, axes or {}, FIELD)
    check_font(font, FIELD)
    return font


def read_noto_sans() -> bytes:
    return Path(str(distribution("manimgx-fonts").locate_file("manimgx_fonts/NotoSans[wght].ttf"))).read_bytes()


def draw(text: str, family: str) -> float:
    """The ink of the first page."""
    return measure_ink(build_renderer(fontFamilies=[family]).render(text, "key")[0])


@pytest.mark.parametrize(
    ("data", "face", "axes", "message"),
    [
        (b"", 0, {}, r"spec\.fonts\[0\]: must be a TrueType or OpenType font .* starts with b''"),
        (b"wOF2" + bytes(100), 0, {}, "starts with b'wOF2'"),
        (b"#!/bin/sh", 0, {}, "must be a TrueType or OpenType font"),
        (b"\x00\x01\x00\x00" + bytes(500), 0, {}, r"spec\.fonts\[0\]: the font is damaged"),
        (build_font_file("abc")[:200], 0, {}, "the font is damaged|a glyph is damaged"),
        (build_font_file("abc"), 1, {}, r"spec\.fonts\[0\]\.face: must be below 1, the number of faces, got 1"),
        (build_font_file("abc"), 0, {"wght": 700}, r"\.axes: the font has no axis 'wght'; it is not variable"),
        (read_noto_sans(), 0, {"opsz": 7}, r"\.axes: the font has no axis 'opsz'; its axes are wght"),
        (read_noto_sans(), 0, {"wght": 1000}, r"\.axes\.wght: must be 400 to 700 in this font, got 1000"),
        (build_font_file(""), 0, {}, "no character has a glyph"),
        (build_font_file("abc", ascender=8000), 0, {}, "from descender to ascender must be 0.2 to 5.0 ems, got 8.2"),
        (build_font_file("abc", square=32600), 0, {}, "glyph 1 is larger than 32 ems"),
        (build_font_file("".join(map(chr, range(0x41, 0x7B))), square=9000), 0, {}, "at most 4 square ems on average"),
    ],
)
def test_a_font_that_cannot_be_used_is_refused_with_the_reason(
    data: bytes, face: int, axes: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(data, face, axes=axes)


def test_the_name_of_a_bundled_font_is_taken() -> None:
    with pytest.raises(ConfigurationError, match="'Noto Sans Thai' is a family that DeepSynth brings"):
        load(build_font_file("abc"), name="Noto Sans Thai")


def test_damaged_fonts_are_refused_or_drawn_but_never_crash() -> None:
    """Each byte may be wrong: 400 files with a few random ones."""
    source, whole = random.Random(7), read_noto_sans()[:60_000]
    small, drawn = build_font_file("abcdefgh "), 0
    for number in range(400):
        data = bytearray(small if number % 2 else whole)
        for _ in range(source.choice([1, 3, 30])):
            data[source.randrange(len(data))] = source.randrange(256)
        with contextlib.suppress(ConfigurationError, RefusedDocument):
            use_fonts([load(bytes(data))])
            drawn += 1
            draw("head of a bed", "Mine")
    assert drawn > 100


def test_a_font_draws_characters_that_no_bundled_font_has() -> None:
    assert find_undrawable(PRIVATE) == {PRIVATE}
    use_fonts([load(build_font_file(PRIVATE))])
    assert find_undrawable(PRIVATE) == set()
    assert draw(PRIVATE, "DejaVu Sans") > draw(".", "DejaVu Sans")
    use_fonts([])
    assert find_undrawable(PRIVATE) == {PRIVATE}


def test_characters_that_a_font_lacks_are_drawn_in_the_next_one() -> None:
    use_fonts([load(build_font_file("abc"))])
    assert draw("xyz", "Mine") == draw("xyz", "DejaVu Sans")
    assert draw("abc", "Mine") > 2 * draw("abc", "DejaVu Sans")


def test_fonts_of_users_come_first_for_scripts_with_fonts_of_their_own() -> None:
    use_fonts([load(build_font_file("\u0628a")), load(build_font_file("\u4e00a"), name="Other")])
    assert list(list_families("Mine", "Arab", "JP"))[:4] == ["Mine", "Mine", "Other", "Noto Sans Arabic"]
    assert list(list_families("DejaVu Sans", "Arab", "JP"))[:3] == ["Mine", "Other", "Noto Sans Arabic"]
    assert list(list_families("DejaVu Sans", "Hani", "JP"))[:3] == ["Mine", "Other", "Noto Sans CJK JP"]
    chain = list(dict.fromkeys(list_families("DejaVu Sans", "Latn", "JP")))
    assert chain[:4] == ["DejaVu Sans", "Mine", "Other", "DejaVu Serif"]


def test_arabic_letters_are_drawn_in_the_font_of_the_user() -> None:
    plain = draw("\u0628\u0628\u0628", "DejaVu Sans")
    use_fonts([load(build_font_file("\u0628"))])
    assert draw("\u0628\u0628\u0628", "DejaVu Sans") > 2 * plain


def test_a_variable_font_is_drawn_in_the_stated_instance() -> None:
    text = "Weight of letters"
    use_fonts([load(read_noto_sans()), load(read_noto_sans(), name="Bold", axes={"wght": 700})])
    regular, bold = draw(text, "Mine"), draw(text, "Bold")
    assert regular == draw(text, "Noto Sans")
    assert bold > 1.2 * regular


def test_bold_text_raises_the_weight_of_a_variable_font() -> None:
    use_fonts([load(read_noto_sans()), load(read_noto_sans(), name="Semi", axes={"wght": 600})])
    assert find_styled("Mine", bold=True, italic=False).variation == {"wght": 700}
    assert find_styled("Semi", bold=True, italic=False).variation == {"wght": 700}
    assert find_styled("Semi", bold=False, italic=True).variation == {"wght": 600}
    assert find_styled("Semi", bold=False, italic=True).is_slanted


def test_a_face_of_a_collection_is_drawn() -> None:
    collection = build_collection([("abc", 300), ("abc", 600)])
    use_fonts([load(collection, 0, "Small"), load(collection, 1, "Large")])
    assert draw("abc", "Large") > 2 * draw("abc", "Small")


def test_what_a_font_says_about_its_license_is_read_in_one_line() -> None:
    names = read_names(load(build_font_file("abc", license_text=f"{LICENSE}\n\tSee `there` | <b>\x00\x07")))
    assert names.license == f"{LICENSE} See `there` | <b>"
    assert (names.license_url, names.version) == (LICENSE_URL, "Version 1.5")
    assert read_names(load(build_font_file("abc", license_text=None))).license is None
    assert len(read_names(load(build_font_file("abc", license_text="x" * 9000))).license or "") == 500
