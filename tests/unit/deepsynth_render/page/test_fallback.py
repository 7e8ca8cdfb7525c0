"""Which font draws a character, and which characters none draws."""

import unicodedata
from collections import Counter

import pytest

from deepsynth_render.page.fallback import OWN_FAMILY, check_drawable, find_undrawable, is_supported, list_families
from deepsynth_render.page.fonts import FALLBACK, FAMILIES, FILES, load_font
from deepsynth_render.page.scripts.properties import find_script
from deepsynth_render.reporting.dropped import RefusedDocument


def test_the_font_of_a_script_comes_first_then_the_chosen_family_then_the_rest() -> None:
    families = list(list_families("DejaVu Serif", "Arab", "JP"))
    assert families[:4] == ["Noto Sans Arabic", "DejaVu Serif", "DejaVu Sans", "DejaVu Sans Mono"]
    assert {FILES[family].path for family in families} == {file.path for file in (FAMILIES | FALLBACK).values()}
    assert next(list_families("DejaVu Serif", "Latn", "JP")) == "DejaVu Serif"
    assert next(list_families("DejaVu Serif", "Hani", "TC")) == "Noto Sans CJK TC"


@pytest.mark.parametrize(("script", "family"), OWN_FAMILY.items())
def test_the_font_of_a_script_has_its_letters(script: str, family: str) -> None:
    scripts = Counter(find_script(chr(codepoint)) for codepoint in load_font(family).codepoints)
    assert scripts[script] > 50


def test_the_faces_of_noto_sans_cjk_have_the_same_characters() -> None:
    faces = [load_font(family).codepoints for family in FILES if "CJK" in family]
    assert len(faces) == 4
    assert all(face == faces[0] for face in faces)


def test_the_drawable_characters_of_a_text_are_not_reported() -> None:
    assert (
        find_undrawable("\u00e9t\u00e9 \u4e2d\u6587 \u0645\u0631 \u0e01 \U0001f600 \U0001f9d1\u200d\ufe0f\n\ufffd")
        == set()
    )


def test_the_characters_that_no_font_has_are_reported_with_the_text_seen_before_and_after() -> None:
    for _ in range(2):
        assert find_undrawable("icon \ue000, Tibetan \u0f40, lone \ud800") == {"\ue000", "\u0f40", "\ud800"}


@pytest.mark.parametrize(
    ("text", "reason", "named"),
    [
        (
            "plain \u0f40\ue000",
            "UnsupportedScript",
            "U+0F40 TIBETAN LETTER KA is of script Tibt, for which there is no font",
        ),
        ("private \ue000", "UnsupportedScript", "U+E000 (no name) is of script Zzzz"),
        ("lone \ud800", "UnsupportedScript", "U+D800"),
        ("a mark \u16eb", "MissingGlyph", "RUNIC SINGLE PUNCTUATION"),
    ],
)
def test_a_document_is_refused_by_its_first_undrawable_character(text: str, reason: str, named: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        check_drawable(text)
    assert named in caught.value.message
    assert caught.value.reason == reason


def test_the_supported_scripts_are_those_whose_letters_the_fonts_have() -> None:
    codepoints = set().union(*(load_font(family).codepoints for family in FILES))
    letters = Counter(
        find_script(chr(codepoint)) for codepoint in codepoints if unicodedata.category(chr(codepoint))[0] in "LS"
    )
    whole = {script for script, count in letters.items() if count >= 20 and script != "Zzzz"}
    assert {script for script in letters if is_supported(script)} >= whole - {"Zinh"}, letters


def test_families_that_came_later_only_draw_what_no_other_one_has() -> None:
    """Noto Sans Mono has \uff5b too; pages of before keep the font that they had."""
    assert find_family("\uff5b", "Zyyy") == "Noto Sans CJK JP"
    assert find_family("\u23b2", "Zyyy") == "Noto Sans Mono"
    assert find_family("\u2bee", "Zyyy") == "Noto Sans Symbols 2"


def find_family(character: str, script: str) -> str:
    families = list_families("DejaVu Sans", script, "JP")
    return next(family for family in families if ord(character) in load_font(family).codepoints)
