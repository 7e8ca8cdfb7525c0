"""Boxes of words and lines: their texts are the page's, and all ink is inside."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deepsynth_render.page import Page
from deepsynth_render.page.boxes import Box, rotate_boxes
from unit.deepsynth_render.page.page_images import PROSE, build_renderer, decode

ARTICLES = [
    line.split("\t") for line in Path("tests/fixtures/scripts/article_1.tsv").read_text(encoding="utf-8").splitlines()
]
HEBREW = "\u05d0\u05d1\u05d2 \u05d3\u05d4 25 fox \u05d5\u05d6\u05d7, \u05d8\u05d9"
CHINESE = "\u4eba\u4eba\u751f\u800c\u81ea\u7531\uff0c\u5728\u5c0a\u4e25\u3002"


def read_words(pages: Sequence[Page]) -> list[str]:
    return [box.text for page in pages for box in page.boxes]


def draw_mask(page: Page, boxes: Sequence[Box]) -> NDArray[np.bool_]:
    """(height, width): whether a pixel is inside a box."""
    inside = np.zeros((page.height, page.width), bool)
    for _, left, top, right, bottom in boxes:
        assert 0 <= left < right <= page.width
        assert 0 <= top < bottom <= page.height
        inside[top:bottom, left:right] = True
    return inside


def check_boxes(pages: Sequence[Page]) -> None:
    for page in pages:
        assert "".join("".join(box.text for box in page.boxes).split()) == "".join(page.text.split())
        inked = decode(page.png) < 255
        assert not (inked & ~draw_mask(page, page.boxes)).any()
        for _, left, top, right, bottom in page.boxes:
            box = inked[top:bottom, left:right]
            assert all(side.any() for side in (box[:2], box[-2:], box[:, :2], box[:, -2:])), "a box that is too large"


@pytest.mark.parametrize("kind", ["words", "lines"])
@pytest.mark.parametrize(
    "text",
    [PROSE, HEBREW * 9, CHINESE * 9, " ".join(article[2] for article in ARTICLES[::3])],
    ids=["prose", "hebrew", "chinese", "mixed"],
)
@pytest.mark.parametrize("layout", [{}, {"columns": 2, "size": "300x120"}, {"align": "justify"}, {"bitDepth": 2}])
def test_texts_of_boxes_are_the_text_of_the_page_and_all_ink_is_inside(
    kind: str, text: str, layout: dict[str, object]
) -> None:
    check_boxes(build_renderer(boxes=kind, **layout).render(text, "key"))


@pytest.mark.parametrize("article", ARTICLES[:-1], ids=[article[0] for article in ARTICLES[:-1]])
def test_each_script_has_boxes(article: list[str]) -> None:
    check_boxes(build_renderer(boxes="words", size="300x200").render(article[2], "key"))


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["a", "well-known", "\u05d0\u05d1", "25", "\u4eba\u751f", "\ufb01", " ", "\n"])))
def test_mixed_words_keep_the_order_of_the_text(words: list[str]) -> None:
    check_boxes(build_renderer(boxes="words").render(" ".join(words) + " end", "key"))


@settings(max_examples=30)
@given(
    st.lists(
        st.sampled_from(["a", "well-known", "hyphenation", "\u05d0\u05d1", "25", "\u4eba\u751f", "\t", "\n", "- x"])
    ),
    st.sampled_from(
        [{}, {"tabStopEms": 4}, {"hangingIndent": True}, {"hyphenation": "en"}, {"tabStopEms": 3, "hyphenation": "en"}]
    ),
    st.sampled_from([{"mode": "fixed"}, {"mode": "balance"}, {"mode": "shrink", "maxShrinkPercent": 40}]),
    st.sampled_from([{}, {"columns": 2, "size": "300x120"}, {"align": "justify", "bitDepth": 2}]),
    st.sampled_from(["words", "lines"]),
)
def test_options_of_the_layout_keep_boxes_right(
    words: list[str], fine: dict[str, object], fit: dict[str, object], look: dict[str, object], kind: str
) -> None:
    check_boxes(build_renderer(boxes=kind, fit=fit, **fine, **look).render(" ".join([*words, "end"]) * 3, "key"))


def test_words_are_the_text_between_blanks() -> None:
    pages = build_renderer(boxes="words").render("The well-known   fox, office.\n\nNext", "key")
    assert read_words(pages) == ["The", "well-known", "fox,", "office.", "Next"]


def test_where_a_script_sets_no_blanks_words_are_the_parts_between_which_lines_break() -> None:
    assert read_words(build_renderer(boxes="words").render("\u4eba\u751f\u3002 fox", "key")) == [
        "\u4eba",
        "\u751f\u3002",
        "fox",
    ]


def test_words_from_right_to_left_are_in_reading_order() -> None:
    (page,) = build_renderer(boxes="words").render("\u05d0\u05d1 \u05d2\u05d3 \u05d4", "key")
    assert [box.text for box in page.boxes] == ["\u05d0\u05d1", "\u05d2\u05d3", "\u05d4"]
    lefts = [box.left for box in page.boxes]
    assert lefts == sorted(lefts, reverse=True)


def test_a_word_on_two_lines_has_two_boxes() -> None:
    (page,) = build_renderer(boxes="words").render("a" * 40, "key")
    assert len(page.boxes) > 1
    assert "".join(box.text for box in page.boxes) == "a" * 40


def test_lines_of_two_columns_are_apart() -> None:
    page = build_renderer(boxes="lines", columns=2, size="300x120").render(PROSE, "key")[0]
    middle = page.width // 2
    assert all(box.right < middle or box.left > middle for box in page.boxes)
    assert {box.left < middle for box in page.boxes} == {True, False}


def test_without_the_option_there_are_no_boxes_and_pages_are_the_same() -> None:
    plain, boxed = (build_renderer(boxes=kind).render(PROSE, "key") for kind in ("none", "words"))
    assert not any(page.boxes for page in plain)
    assert [page.png for page in plain] == [page.png for page in boxed]


@pytest.mark.parametrize("key", ["a", "b", "c"])
def test_boxes_follow_a_page_that_is_rotated(key: str) -> None:
    still = {"blurPx": "0", "paper": 0, "contrastPercent": 0, "noise": 0}
    look = {"size": "400x300", "marginPx": 24, "boxes": "words"}
    (page,) = build_renderer(**look, augmentation={**still, "skewDegrees": "3"}).render(PROSE[:600], key)
    (straight,) = build_renderer(**look).render(PROSE[:600], key)
    assert page.boxes != straight.boxes
    assert [box.text for box in page.boxes] == [box.text for box in straight.boxes]
    assert not ((decode(page.png) < 128) & ~draw_mask(page, page.boxes)).any()


def test_a_rotated_box_is_around_the_corners_of_the_first() -> None:
    (turned,) = rotate_boxes([Box("a", 10, 40, 90, 60)], math.radians(90), 100, 100)
    assert turned == Box("a", 40, 10, 60, 90)
    assert rotate_boxes([Box("a", 1, 2, 3, 4)], 0, 100, 100) == [Box("a", 1, 2, 3, 4)]
