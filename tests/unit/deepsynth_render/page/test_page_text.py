"""The text of pages: all of it, once, in order, and on the page that shows it."""

from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deepsynth_render.page import Page, RefusedDocument
from deepsynth_render.page.characters import normalise
from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.words import _MOST_SHAPED, ADVANCE, CHARS, WordCache, _slice
from unit.deepsynth_render.page.page_images import build_renderer, decode, find_inked_columns, measure_ink

SMALL = build_renderer()
JUSTIFIED_COLUMNS = build_renderer(size="240x120", columns=2, align="justify")

SPACES_AND_DASHES = "\u00a0\u2003\u2009\u202f-\u2010\u2014"
INVISIBLE = "\u00ad\u200b\ufeff\x00\r\x85\u2028"
LETTERS_AND_MARKS = "'\u20ac\u0301\u0323\u03c9\u0436\ufb01\u01c6\u2192\U0001f600"
ODD = SPACES_AND_DASHES + INVISIBLE + LETTERS_AND_MARKS
words = (
    st.text("abcdefgXYZ0123.,/", max_size=12)
    | st.text("a-" + ODD, max_size=8)
    | st.text("wi", min_size=60, max_size=200)
)
separators = st.sampled_from([" ", " ", " ", "  ", "\n", "\n\n", "\n" * 15, "\t", " " * 80, " \n"])
documents = st.lists(st.tuples(words, separators), max_size=30).map(lambda parts: "".join(map("".join, parts)))


def check_pages(text: str, pages: list[Page]) -> None:
    normalised = normalise(text)
    assert "".join(page.text for page in pages) == normalised
    assert [page.char_start for page in pages] == [0, *(page.char_end for page in pages[:-1])]
    assert all(page.text == normalised[page.char_start : page.char_end] for page in pages)
    assert all(decode(page.png).min() < 255 for page in pages), "a blank page"


@settings(max_examples=50)
@given(documents)
def test_the_texts_of_pages_joined_are_the_document_and_no_page_is_blank(text: str) -> None:
    for renderer in (SMALL, JUSTIFIED_COLUMNS):
        if normalise(text).strip():
            check_pages(text, renderer.render(text, "key"))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.text("abcde\u00e9-.", min_size=1, max_size=12), separators), min_size=40, max_size=80))
def test_a_page_shows_just_the_text_it_is_labelled_with(parts: list[tuple[str, str]]) -> None:
    pages = SMALL.render("".join(map("".join, parts)), "key")
    assume(len(pages) > 1)
    for page in pages:
        assert [alone.png for alone in SMALL.render(page.text, "key")] == [page.png]


@given(st.text(max_size=80))
def test_any_text_is_rendered_whole_or_refused_with_a_reason(text: str) -> None:
    with suppress(RefusedDocument):
        check_pages(text, SMALL.render(text, "key"))


def test_a_text_without_spaces_is_broken_at_the_edge_and_none_of_it_is_lost() -> None:
    text = "x" * 650
    pages = SMALL.render(text, "key")
    check_pages(text, pages)
    one = measure_ink(SMALL.render("x", "key")[0])
    assert sum(map(measure_ink, pages)) == pytest.approx(650 * one, rel=0.05)
    assert all(find_inked_columns(page)[-1] < 160 - 8 for page in pages)


def test_a_word_too_long_for_harfbuzz_is_broken_into_pieces_and_none_of_it_is_lost() -> None:
    """HarfBuzz 14 gives up on this text in words of 600,000 to 1,048,000 characters, and on no longer ones."""
    word = "word" * 150_000
    cache = WordCache(load_font("DejaVu Sans"), size_px=18, column_width=448, most_glyphs=10**6)
    found = cache.find_pieces(word)
    pieces = cache.pieces.read()[found]
    assert pieces[:, CHARS].sum() == len(word) + 1
    assert pieces[:, ADVANCE].max() <= 448 * 64


def test_a_mark_stays_with_its_letter_however_long_the_word() -> None:
    word = "x" * (_MOST_SHAPED - 1) + "q\u0301\u0323" + "x"
    assert list(_slice(word)) == [word[:-1], "x"]


def test_a_long_document_keeps_its_last_words() -> None:
    text = "several words that fill the lines " * 1500 + "the end"
    pages = build_renderer(size="512").render(text, "key")
    check_pages(text, pages)
    assert len(pages) > 5
    assert pages[-1].text.endswith("the end")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("aaaaaaaa well-known", ["aaaaaaaa well-", "known"]),
        ("aaaaaaaaaaa 12-34", ["aaaaaaaaaaa ", "12-34"]),
        ("aaaaaaaaaaaa --option", ["aaaaaaaaaaaa ", "--option"]),
        ("aaaaaaaaaaaa b\u00a0b\u00a0b", ["aaaaaaaaaaaa ", "b\u00a0b\u00a0b"]),
        ("aaaaaaaaaaaaa          bbbb", ["aaaaaaaaaaaaa          ", "bbbb"]),
    ],
)
def test_a_line_breaks_at_spaces_and_after_hyphens_within_words(text: str, lines: list[str]) -> None:
    one_line_a_page = build_renderer(size="160x100", fontSizesPx=[16], lineHeight="5")
    assert [page.text for page in one_line_a_page.render(text, "key")] == lines


def test_empty_lines_between_pages_take_no_room_on_the_next_one() -> None:
    pages = SMALL.render("first" + "\n" * 40 + "second", "key")
    assert [page.text for page in pages] == ["first" + "\n" * 40, "second"]
    assert pages[1].png == SMALL.render("second", "key")[0].png


def test_lines_without_ink_before_the_first_word_count_to_the_first_page() -> None:
    text = "\u00a0\n\u2003\nfirst"
    pages = SMALL.render(text, "key")
    check_pages(text, pages)
    assert [page.png for page in pages] == [page.png for page in SMALL.render("first", "key")]
