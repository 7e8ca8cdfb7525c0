"""The characters of a document."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_render.page.characters import collapse_blanks, is_aligned, normalise


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a\r\nb\rc\u2028d\u2029e\x0bf\x0cg\x85h", "a\nb\nc\nd\ne\nf\ng\nh"),
        ("a\tb", "a    b"),
        ("a  \n b \n", "a\n b"),
        ("\n\n  indented\n\n\nafter", "  indented\n\n\nafter"),
        ("e\u0301", "\u00e9"),
        (
            "soft\u00adhyphen, zero\u200bwidth, mark\u200e, bell\x07, \ufeffbom",
            "softhyphen, zerowidth, mark, bell, bom",
        ),
        ("e\u200d\u0301", "\u00e9"),
        ("\uac00\u3164\u115f\u17b4b\ufffc", "\uac00b"),
        ("no\u00a0break", "no\u00a0break"),
        ("\x00\x01\x7f\u200b \n\t", ""),
    ],
)
def test_normalising_changes_only_what_a_page_cannot_show(source: str, expected: str) -> None:
    assert normalise(source) == expected


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("\u0645\u06cc\u200c\u062e", None, id="non-joiner between Persian letters that would join"),
        pytest.param("\u06cc\u200c\u200c\u062e", "\u06cc\u200c\u062e", id="repeated non-joiner"),
        pytest.param("\u0631\u200c\u062e", "\u0631\u062e", id="non-joiner behind a letter that joins nothing"),
        pytest.param("\u0647\u200d", None, id="joiner that shows a letter as if another followed"),
        pytest.param("\u0647\u200d\u0647", "\u0647\u0647", id="joiner between letters that join anyway"),
        pytest.param("\u0915\u094d\u200d\u0937", None, id="joiner behind a virama"),
        pytest.param("\u0915\u094d\u200c\u0937", None, id="non-joiner behind a virama"),
        pytest.param("\u0915\u200d\u0937", "\u0915\u0937", id="joiner between Indic letters"),
        pytest.param("a\u200db\u200cc", "abc", id="joiners between Latin letters"),
        pytest.param("\U0001f468\u200d\U0001f469", None, id="emoji sequence"),
        pytest.param("1\ufe0f\u20e3", None, id="keycap"),
        pytest.param("1\ufe0f", "1", id="emoji selector behind a digit"),
        pytest.param("\u2764\ufe0f", None, id="emoji selector that chooses another font"),
        pytest.param("\U0001f44d\ufe0f", "\U0001f44d", id="emoji selector behind what only the font of emoji has"),
        pytest.param("\U0001f3f4\U000e0067\U000e007f", None, id="tags behind a flag"),
        pytest.param("a\U000e0067\U000e007f", "a", id="tags behind a letter"),
        pytest.param("\u845b\U000e0100", None, id="ideographic variant of the font"),
        pytest.param("\u4e00\U000e0101", "\u4e00", id="ideographic variant that the font lacks"),
        pytest.param("\u1820\u180b\u182d", None, id="variation selector behind a Mongolian letter"),
        pytest.param("a\u180bb", "ab", id="Mongolian variation selector behind another letter"),
        pytest.param("\u1837\u180e\u1821", None, id="vowel separator between Mongolian letters"),
        pytest.param("\u1837\u180e \u1821", "\u1837 \u1821", id="vowel separator at the end of a word"),
        pytest.param("\u0712\u200c\u0712", None, id="non-joiner between Syriac letters"),
        pytest.param("\U0001e922\u200d", None, id="joiner behind a letter of Adlam"),
        pytest.param("a\u200fb\u202c", "ab", id="direction marks in Latin text"),
        pytest.param("a\u202ab\u202c \u2066c\u2069", "ab c", id="embeddings and isolates in Latin text"),
        pytest.param("a \u05d0 \u200e1", None, id="mark that moves the digit"),
        pytest.param("\u05d0\u200f", "\u05d0", id="mark that moves nothing"),
        pytest.param("\u202eabc", None, id="override that reverses letters"),
        pytest.param("\u2067\u05d0\u2069 a", None, id="isolate that decides the direction of the line"),
        pytest.param("a \u05d0 \u200e1\na\u200fb", "a \u05d0 \u200e1\nab", id="each line for itself"),
    ],
)
def test_an_invisible_character_stays_where_it_changes_what_is_drawn(source: str, expected: str | None) -> None:
    assert normalise(source) == (source if expected is None else expected)


TRICKY = (
    "a1 e\u0301\u200b\u200c\u200d\u200e\u200f\u202b\u202c\u202e\u2067\u2069\ufe0f\u20e3\u2764\U0001f3fd\U0001f468"
    "\U000e0100\U000e0067\u845b\u1820\u180b\u180e\u0647\u0631\u064e\u05d0\u0915\u094d\u1100\u1161\n"
)


@settings(max_examples=400)
@given(st.text(TRICKY, max_size=14))
def test_normalising_tricky_text_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b", "a b"),
        ("  a\n b\n\n  c   d", "a\nb\n\nc d"),
        ("a b", "a b"),
        (" ", ""),
        ("", ""),
        ("a\n   \nb", "a\n\nb"),
    ],
)
def test_runs_of_blanks_collapse_to_one(text: str, expected: str) -> None:
    assert collapse_blanks(text) == expected
    assert collapse_blanks(expected) == expected


@pytest.mark.parametrize(
    ("text", "aligned"), [("a   b", True), ("x\na    b", True), ("a  b", False), ("   a", False), ("a\n   b", False)]
)
def test_a_text_is_aligned_by_three_blanks_between_words(text: str, aligned: bool) -> None:
    assert is_aligned(text) == aligned
