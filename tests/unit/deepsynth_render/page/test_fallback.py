"""Which font draws a character, and which characters none draws."""

import unicodedata
from collections import Counter
from itertools import accumulate
from random import Random

import pytest

from deepsynth_render.page.fallback import (
    INVISIBLE,
    OWN_FAMILY,
    check_drawable,
    find_undrawable,
    is_supported,
    list_families,
)
from deepsynth_render.page.fonts import FAMILIES, FILES, FONTS, load_font
from deepsynth_render.page.scripts.properties import find_script, split_clusters
from deepsynth_render.page.shaping import Style
from deepsynth_render.page.words import WordCache
from deepsynth_render.reporting.dropped import RefusedDocument


def test_the_font_of_a_script_comes_first_then_the_chosen_family_then_the_rest() -> None:
    families = list(list_families("DejaVu Serif", "Arab", "JP"))
    assert families[:4] == ["Noto Sans Arabic", "DejaVu Serif", "DejaVu Sans", "DejaVu Sans Mono"]
    assert {"Noto Sans Armenian", "Noto Sans Math", "Noto Sans Symbols 2", *FAMILIES} <= set(families)
    assert "Noto Sans Cherokee" not in families, "a font of one script is not opened for every rare character"
    assert next(list_families("DejaVu Serif", "Latn", "JP")) == "DejaVu Serif"
    assert next(list_families("DejaVu Serif", "Hani", "TC")) == "Noto Sans CJK TC"


@pytest.mark.parametrize(("script", "family"), OWN_FAMILY.items())
def test_the_font_of_a_script_has_its_letters(script: str, family: str) -> None:
    scripts = Counter(find_script(chr(codepoint)) for codepoint in load_font(family).codepoints)
    assert scripts[script] >= 18


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
        assert find_undrawable("icon \ue000, Tangut \U00017000, lone \ud800") == {"\ue000", "\U00017000", "\ud800"}


@pytest.mark.parametrize(
    ("text", "reason", "named"),
    [
        (
            "plain \U00017000\ue000",
            "UnsupportedScript",
            "U+17000 (no name) is of script Tang, for which there is no font",
        ),
        ("private \ue000", "UnsupportedScript", "U+E000 (no name) is of script Zzzz"),
        ("lone \ud800", "UnsupportedScript", "U+D800"),
        ("a letter \U0001b002", "MissingGlyph", "HENTAIGANA LETTER A-1"),
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


CLUSTERS = [
    *("a", "e\u0301", "q\u0329\u0301", "a\u20dd", "\u6587", "\u304b\u3099", "\u6587\u0301", "\uac00", "\u1100\u1161"),
    *(
        "\U0001f600",
        "\U0001f468\u200d\U0001f469",
        "\u2764\ufe0f",
        "1\ufe0f\u20e3",
        "\U0001f44d\U0001f3fd",
        "\U0001f600\u0301",
    ),
    *("\u0915\u094d\u0937", "\u0e01\u0e33", "\u0e01\u0301", "a\u0e31", "\u05d0\u05b8", "\u0627\u064e", "\u05d0\u064e"),
]
"""Letters with marks, joined emoji, and letters with marks that only fonts of other scripts have."""


def test_a_word_that_mixes_fonts_is_cut_within_a_cluster_only_where_no_font_has_all_of_it() -> None:
    shaper = WordCache(load_font("DejaVu Sans"), 18, 400, max_glyphs=10**5)._shaper
    random_ = Random(3)
    words = ["".join(random_.choices(CLUSTERS, k=random_.randint(2, 6))) for _ in range(300)]
    cut = 0
    for word in words:
        runs = list(shaper._split(word, Style()))
        assert "".join(run.text for run in runs) == word
        for run in runs:
            assert find_drawn(run.text) <= load_font(FONTS[run.font]).codepoints
        starts = {run.start for run in runs}
        clusters = split_clusters(word)
        for cluster, end in zip(clusters, accumulate(map(len, clusters)), strict=True):
            if starts.intersection(range(end - len(cluster) + 1, end)):
                cut += 1
                assert not any(find_drawn(cluster) <= load_font(font).codepoints for font in FONTS), ascii(cluster)
    assert cut > 10


def find_drawn(text: str) -> set[int]:
    return {ord(character) for character in text if character not in INVISIBLE}
