"""Tab stops, hanging indents and hyphens: where words are drawn, and that the text stays what it is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deepsynth_api.errors import ConfigurationError
from deepsynth_render.page import PageRenderer
from deepsynth_render.page.characters import normalise
from deepsynth_render.page.fine_breaking import Settings, break_finely
from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.hyphenation import Hyphenator
from deepsynth_render.page.lines import break_lines
from deepsynth_render.page.words import LINE_FEED, WordCache
from unit.deepsynth_render.page.page_images import build_renderer, check_pages, decode

ARTICLES = dict(line.split("\t")[::2] for line in Path("tests/fixtures/scripts/article_1.tsv").read_text().splitlines())
LONG = "characteristically internationalization considerations extraordinary responsibility "
ALL: dict[str, object] = {"tabStopEms": 3, "hangingIndent": True, "hyphenation": "en"}
FOREIGN = ["\u05e9\u05dc\u05d5\u05dd", "\u6587\u5b57\u6587", "\u0628\u0628"]
words = st.sampled_from(
    [
        "a",
        "word",
        *LONG.split(),
        "well-known",
        "x" * 60,
        "\u05e9\u05dc\u05d5\u05dd",
        "\u6587\u5b57\u6587",
        "\u0628\u0628",
        "-",
        "12.",
    ]
)
separators = st.sampled_from([" ", " ", " ", "  ", "\t", "\t\t", "\n", "\n\n", "\n- ", "\n  1. ", "\n\t", " \t "])
documents = st.lists(st.tuples(words, separators), max_size=40).map(lambda parts: "".join(map("".join, parts)))


def build(**changes: object) -> PageRenderer:
    return build_renderer(**{"size": "400x300", "fontSizesPx": [16], "maxPages": 900, **changes})


def draw(text: str, **changes: object) -> NDArray[np.uint8]:
    (page,) = build(**changes).render(text, "key")
    assert page.text == normalise(text, keep_tabs="tabStopEms" in changes)
    return decode(page.png)


def find_words(pixels: NDArray[np.uint8], line: int) -> list[tuple[int, int]]:
    """First and last column of each group of ink on a line, further apart than letters are."""
    ink = np.flatnonzero((pixels[8 + 20 * line : 28 + 20 * line] < 128).any(axis=0))
    groups = np.split(ink, np.flatnonzero(np.diff(ink) > 6) + 1)
    return [(int(group[0]), int(group[-1])) for group in groups if len(group)]


@settings(max_examples=40)
@given(documents)
def test_the_joined_texts_of_pages_are_the_document(text: str) -> None:
    for changes in ({}, {"align": "justify", "columns": 2}):
        renderer = build_renderer(**{**ALL, "maxPages": 900, "size": "240x120", **changes})
        kept = normalise(text, keep_tabs=True)
        if kept.strip():
            pages = renderer.render(text, "key")
            check_pages(text, pages, keep_tabs=True)


@pytest.mark.parametrize("language", ARTICLES)
def test_every_script_is_drawn_whole(language: str) -> None:
    text = f"- {ARTICLES[language]}\n\t{ARTICLES[language]}\tend"
    check_pages(text, build_renderer(**ALL, size="200x120").render(text, "key"), keep_tabs=True)


@settings(max_examples=60)
@given(documents.map(normalise), st.integers(80, 400))
def test_without_any_setting_lines_are_those_of_the_usual_breaking(text: str, width: int) -> None:
    cache = WordCache(load_font("DejaVu Sans"), 8, width, 10**6)
    rows, directions = cache.find_pieces(text)
    pieces = cache.pieces.take(rows)
    usual = break_lines(pieces, rows == LINE_FEED, width * 64, directions and directions.glued)
    fine = break_finely(
        text, (rows, directions), width * 64, cache.pieces.take, Settings(0, hangs=False, hyphenate=None)
    )
    assert np.array_equal(fine.rows, rows)
    assert np.array_equal(fine.pieces, pieces)
    for name in ("starts", "ends", "closing"):
        assert np.array_equal(getattr(fine.lines, name), getattr(usual, name))
    assert fine.lines.indents is not None
    assert not fine.lines.indents.any()


def test_what_follows_a_tab_begins_at_the_next_stop() -> None:
    pixels = draw("a\tb\nwider\tc\nmuch wider\td\n\te", tabStopEms=5)
    lefts = [find_words(pixels, line)[-1][0] - 8 for line in range(4)]
    assert np.allclose(lefts, [80, 80, 160, 80], atol=3)


def test_tab_stops_of_text_from_right_to_left_count_from_the_right() -> None:
    pixels = draw("\u05e9\tx\u05dc\n\u05e9\u05dc\u05d5\u05dd\t\u05dc", tabStopEms=5)
    for line in range(2):
        assert find_words(pixels, line)[0][1] == pytest.approx(400 - 8 - 80, abs=4)


def test_a_tab_keeps_columns_in_order_next_to_text_of_the_other_direction() -> None:
    pixels = draw("a\t\u05e9\u05dc\t\u05d5", tabStopEms=4)
    (_, _), (first, _), (second, _) = find_words(pixels, 0)
    assert np.allclose([first - 8, second - 8], [64, 128], atol=4)


def test_lines_with_tabs_are_not_stretched() -> None:
    text = "a\tb " + "some words " * 8
    left, justified = (find_words(draw(text, tabStopEms=3, align=align), 0) for align in ("left", "justify"))
    assert left == justified


@pytest.mark.parametrize("start", ["- ", "12. ", "    ", "  \u2022 ", "(a) "])
def test_lines_hang_below_the_text_of_the_first_one(start: str) -> None:
    pixels = draw(f"{start}Hxxx " + "Hxxx " * 20, hangingIndent=True)
    first = find_words(pixels, 0)
    second = find_words(pixels, 1)
    assert second[0][0] in [left for left, _ in first]
    assert second[0][0] > 8 + 5


def test_lists_from_right_to_left_hang_at_the_right() -> None:
    pixels = draw("- " + "\u05e9\u05dc\u05d5\u05dd " * 30, hangingIndent=True)
    assert find_words(pixels, 1)[-1][1] < find_words(pixels, 0)[-1][1] - 5


def test_an_indent_takes_at_most_half_of_a_line() -> None:
    pixels = draw(" " * 60 + "text " * 30, hangingIndent=True)
    assert find_words(pixels, 1)[0][0] <= 8 + 192 + 2


def test_words_are_hyphenated_at_line_ends_only_and_the_text_has_no_hyphen() -> None:
    plain, hyphenated = (
        build(align="justify", size="240x300", **more).render(LONG * 5, "key")[0]
        for more in ({}, {"hyphenation": "en"})
    )
    assert "-" not in hyphenated.text
    assert plain.png != hyphenated.png
    wide = [build(size="2000x300", **more).render(LONG, "key")[0].png for more in ({}, {"hyphenation": "en"})]
    assert wide[0] == wide[1]


def test_hyphenation_needs_fewer_lines() -> None:
    lengths = [len(build(size="200x100", hyphenation=name).render(LONG * 10, "key")) for name in ("en", "en_GB")]
    assert max(lengths) < len(build(size="200x100").render(LONG * 10, "key"))


def test_a_word_is_cut_where_the_dictionary_allows_it() -> None:
    cache = WordCache(load_font("DejaVu Sans"), 16, 400, 10**6)
    hyphenate = Hyphenator("de", cache)
    places = {
        word: [parts.characters for parts in hyphenate(word)] for word in ("Silbentrennung,", "und", "x1yz2abc", "a-b")
    }
    assert places == {"Silbentrennung,": [10, 6, 3], "und": [], "x1yz2abc": [], "a-b": []}


def test_a_language_without_a_dictionary_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(ConfigurationError, match=r"spec.page.hyphenation: no dictionary for 'tlh'; there are .*de_DE"):
        build(hyphenation="tlh")
