"""Shaping: every character has its own shape, letters are kerned, and missing characters are refused."""

import numpy as np
import pytest

from deepsynth_render.page.fallback import find_undrawable
from deepsynth_render.page.fonts import FAMILIES, FONTS, load_font
from deepsynth_render.page.glyphs import GlyphAtlas
from deepsynth_render.page.shaping import PLAIN, Shaper, Style
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.page_images import build_renderer, decode, find_inked_columns

ACCENTS = "e\u00e9\u00e8\u00ea\u00ebn\u00f1u\u00fco\u00f6\u00df\u0153\u00c5\u0141\u20ac\u00a3"
PUNCTUATION = "-\u2013\u2014\u00ab\u00bb\u2019'\u2026\u2192\u2264"
GREEK_AND_CYRILLIC = "\u03b1\u03ac\u0436\u0451\u0439\u0438"
LARGE = {"size": "240x120", "fontSizesPx": [20]}


@pytest.mark.parametrize("family", FAMILIES)
def test_accents_the_euro_and_dashes_each_have_their_own_shape(family: str) -> None:
    renderer = build_renderer(**LARGE, fontFamilies=[family])
    characters = ACCENTS + PUNCTUATION + GREEK_AND_CYRILLIC
    if family == "DejaVu Sans Mono":
        characters = characters.replace("\u2014", "")  # that font draws both dashes as wide as its cell
    drawn = {decode(renderer.render(character, "key")[0].png).tobytes() for character in characters}
    assert len(drawn) == len(characters)


def test_a_combining_accent_is_drawn_over_its_letter_and_takes_no_room() -> None:
    renderer = build_renderer(**LARGE)
    bare, marked = (decode(renderer.render(text, "key")[0].png) for text in ("xx", "x\u0323x"))
    assert (marked <= bare).all()
    assert (marked < bare).any()


def test_letters_are_kerned() -> None:
    renderer = build_renderer(**LARGE)
    kerned, apart = (find_inked_columns(renderer.render(text, "key")[0]) for text in ("AV", "A\u2009V"))
    assert kerned[-1] < apart[-1]
    single = sum(np.ptp(find_inked_columns(renderer.render(letter, "key")[0])) for letter in "AV")
    assert np.ptp(kerned) < single


def test_a_character_that_the_font_lacks_is_drawn_in_another_font() -> None:
    assert ord("\U0001f600") not in load_font("DejaVu Sans Mono").codepoints
    bare, smiling = (
        find_inked_columns(build_renderer(fontFamilies=["DejaVu Sans Mono"]).render(text, "key")[0])
        for text in ("a", "a\U0001f600")
    )
    assert smiling[-1] > bare[-1] + 4


def test_a_character_that_no_font_has_is_refused_by_name_instead_of_drawn_as_a_box() -> None:
    with pytest.raises(RefusedDocument, match="U\\+17000") as caught:
        build_renderer().render("fine until\U00017000here", "key")
    assert caught.value.reason == "UnsupportedScript"
    assert build_renderer().render("fine again", "key"), "the refusal leaves the renderer usable"


def test_a_mark_that_the_font_of_its_letter_lacks_is_drawn_in_another_font() -> None:
    page = build_renderer(**LARGE).render("\u0bb1\u108a", "key")[0]
    assert page.text == "\u0bb1\u108a"
    assert find_undrawable(page.text) == set()


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("word", PLAIN),
        ("\u043d\u0435\u0442!", PLAIN),
        ("\u0627\u0644\u0642\u0631\u0635\u060c", Style(right_to_left=True)),
        ("\u0633\u0627\u0628\u0642\u0627\u064b\u060c", Style(right_to_left=True)),
        ("\u0915\u0930\u0947\u0902\u0964", PLAIN),
        ("RAID", Style(script="Hani")),
        ("(RAID-1)", Style(script="Hani")),
        ("11.8.", Style(script="Hani")),
    ],
)
def test_the_short_way_to_the_run_of_a_word_finds_that_of_the_long_way(
    text: str, style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaper = Shaper("DejaVu Sans", 18, GlyphAtlas(FONTS, 18))
    found = shaper.find_single_run(text, style)
    with monkeypatch.context() as patched:
        patched.setattr(shaper, "find_single_run", lambda *_: None)
        assert [(run.font, run.script) for run in shaper._split(text, style)] == [found]
