"""The characters of a document."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_render.page.characters import check_scripts, normalise
from deepsynth_render.reporting.dropped import RefusedDocument


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


def test_latin_greek_cyrillic_and_common_characters_are_drawn() -> None:
    check_scripts(
        "d\u00e9j\u00e0 \u03ba\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \u043c\u0438\u0440 12 \u20ac \u2192 a\u0323"
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("plain \u4e2d\u6587", "U+4E2D CJK UNIFIED IDEOGRAPH-4E2D is of script Hani"),
        ("\u0645\u0631\u062d\u0628\u0627", "ARABIC LETTER MEEM"),
        ("private \ue000", "U+E000 (no name) is of script Zzzz"),
        ("lone \ud800", "U+D800"),
    ],
)
def test_a_document_of_another_script_is_refused_by_its_first_character(text: str, named: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        check_scripts(text)
    assert named in caught.value.message
    assert caught.value.reason == "UnsupportedScript"
