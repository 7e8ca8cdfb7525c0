"""Documents in many scripts: all of the text is drawn, in the order and direction in which it is read."""

from pathlib import Path

import numpy as np
import pytest

from deepsynth_render.page.characters import normalise
from deepsynth_render.page.fonts import FONTS
from deepsynth_render.page.glyphs import GlyphAtlas
from deepsynth_render.page.shaping import Shaper, Style
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.page_images import (
    build_renderer,
    check_pages,
    decode,
    find_inked_columns,
    measure_ink,
)

ARTICLES = {
    language: (script, text)
    for language, script, text in (
        line.split("\t") for line in Path("tests/fixtures/scripts/article_1.tsv").read_text().splitlines()
    )
}
"""Language -> script, and article 1 of the Universal Declaration of Human Rights."""
LARGE = {"size": "400x160", "fontSizesPx": [20]}
RIGHT_TO_LEFT = {"aii", "ar", "dv", "fa", "ff", "he", "ur"}


@pytest.mark.parametrize("language", ARTICLES)
@pytest.mark.parametrize("align", ["left", "justify"])
def test_all_of_a_text_is_drawn(language: str, align: str) -> None:
    _, text = ARTICLES[language]
    check_pages(text, build_renderer(**LARGE, align=align).render(text, "key"))


@pytest.mark.parametrize("language", ARTICLES)
def test_a_sample_loses_none_of_its_characters_to_normalisation(language: str) -> None:
    _, text = ARTICLES[language]
    kept = normalise(text)
    assert len(kept) >= len(text) - (2 if language == "emoji" else 0)


@pytest.mark.parametrize("language", ARTICLES)
def test_a_paragraph_starts_at_the_side_from_which_it_is_read(language: str) -> None:
    _, text = ARTICLES[language]
    last = build_renderer(size="160x100", fontSizesPx=[16], lineHeight="5").render(" ".join(text.split()[:2]), "key")[
        -1
    ]
    columns = find_inked_columns(last)
    if language in RIGHT_TO_LEFT:
        assert 160 - 8 - 4 < columns[-1] <= 160 - 8 + 1
    else:
        assert 8 - 1 <= columns[0] < 8 + 6


@pytest.mark.parametrize("language", ["ar", "he", "hi", "zh", "ja", "mixed"])
def test_justified_lines_of_any_script_end_flush_on_both_sides(language: str) -> None:
    renderer = build_renderer(size="400x100", fontSizesPx=[16], lineHeight="5", align="justify", maxPages=50)
    pages = renderer.render(ARTICLES[language][1], "key")
    assert len(pages) > 1
    for page in pages[:-1]:
        columns = find_inked_columns(page)
        assert columns[0] <= 8 + 3
        assert columns[-1] >= 400 - 8 - 9  # a closing mark of Chinese has room on its right


def test_words_from_right_to_left_are_drawn_in_that_order() -> None:
    renderer = build_renderer(**LARGE)
    wide, narrow = "\u05e9\u05e9\u05e9\u05e9", "\u05d9"
    ink = find_inked_columns(renderer.render(f"{wide} {narrow}", "key")[0])
    groups = np.split(ink, np.flatnonzero(np.diff(ink) > 4) + 1)
    assert len(groups[0]) < len(groups[-1]), "the second word is on the left"


def test_brackets_are_mirrored_within_text_from_right_to_left() -> None:
    shaper = Shaper("DejaVu Sans", 20, GlyphAtlas(FONTS, 20))
    opening, mirrored = shaper.shape("("), shaper.shape(")", Style(right_to_left=True))
    assert opening.glyphs == mirrored.glyphs


def test_arabic_letters_join_and_a_non_joiner_keeps_them_apart() -> None:
    renderer = build_renderer(**LARGE)
    joined, apart = (
        renderer.render(text, "key")[0] for text in ("\u0628\u0628\u0628", "\u0628\u200c\u0628\u200c\u0628")
    )
    assert apart.text == "\u0628\u200c\u0628\u200c\u0628"
    assert np.ptp(find_inked_columns(joined)) < np.ptp(find_inked_columns(apart))


def test_arabic_letters_join_across_fonts_as_within_one() -> None:
    """A letter that another font draws joins the letter before it: the shape of that letter shows it."""
    renderer = build_renderer(**LARGE)
    alone, before_mark = (measure_ink(renderer.render(text, "key")[0]) for text in ("\u0628", "\u0628\u0640"))
    assert alone != before_mark


def test_an_emoji_sequence_is_one_picture() -> None:
    renderer = build_renderer(**LARGE)
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    together, apart = (
        np.ptp(find_inked_columns(renderer.render(text, "key")[0])) for text in (family, family.replace("\u200d", ""))
    )
    assert together < apart / 2


@pytest.mark.parametrize("flag", ["\U0001f1eb\U0001f1f7", "1\ufe0f\u20e3", "\U0001f44d\U0001f3fd", "\u2764\ufe0f"])
def test_flags_keycaps_and_skin_tones_are_drawn_in_the_font_of_emoji(flag: str) -> None:
    renderer = build_renderer(**LARGE)
    page = renderer.render(flag, "key")[0]
    assert page.text == flag
    assert 12 < np.ptp(find_inked_columns(page)) < 40


def test_chinese_characters_take_the_forms_of_the_language() -> None:
    renderer = build_renderer(**LARGE)
    japanese, chinese = (renderer.render(text, "key")[0].png for text in ("\u76f4\u306e", "\u76f4\u4e86"))
    assert not np.array_equal(decode(japanese)[:, :28], decode(chinese)[:, :28])


def test_a_line_breaks_anywhere_within_glued_pieces_only_if_nothing_else_fits() -> None:
    renderer = build_renderer(size="160x100", fontSizesPx=[16], lineHeight="5", maxPages=50)
    text = "\u05d0\u05d1" + "12\u05d1" * 20
    check_pages(text, renderer.render(text, "key"))
    kept = renderer.render(
        "\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5\u05d6\u05d7\u05d8\u05d9\u05d0 \u05d0\u05d112\u05d1\u05d1", "key"
    )
    assert [page.text.strip() for page in kept][-1] == "\u05d0\u05d112\u05d1\u05d1"


@pytest.mark.parametrize("language", ["km", "my", "lo"])
def test_there_is_white_between_lines_of_tall_letters(language: str) -> None:
    """As many bands of ink as lines, which are counted on pages of one line each."""
    text = ARTICLES[language][1]
    page = decode(build_renderer(size="400x400", fontSizesPx=[20]).render(text, "key")[0].png)
    inked = np.asarray((page < 255).any(axis=1))
    bands = np.count_nonzero(inked & ~np.append(False, inked[:-1]))
    assert bands >= len(build_renderer(size="400x100", fontSizesPx=[20], lineHeight="4").render(text, "key"))


def test_the_line_pitch_of_other_documents_stays_as_the_spec_says() -> None:
    renderer = build_renderer(size="400x160", fontSizesPx=[20])
    before = renderer.render("plain\nwords", "key")[0].png
    renderer.render(ARTICLES["my"][1], "key")
    assert renderer.render("plain\nwords", "key")[0].png == before


def test_letters_taller_than_the_page_are_refused() -> None:
    with pytest.raises(RefusedDocument, match="taller than the page") as caught:
        build_renderer(size="400x100", fontSizesPx=[40], marginPx=30, lineHeight="1").render(
            "\u1000\u103c\u102d\u102f " * 30, "key"
        )
    assert caught.value.reason == "Overflow"
