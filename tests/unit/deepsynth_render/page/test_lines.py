"""Line breaking and justification."""

import numpy as np
import pytest

from deepsynth_render.page.lines import Lines, find_pitch
from unit.deepsynth_render.page.page_images import (
    PROSE,
    build_renderer,
    check_pages,
    find_inked_columns,
    measure_ink,
)


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


def test_a_text_without_spaces_is_broken_at_the_edge_and_none_of_it_is_lost() -> None:
    small = build_renderer()
    text = "x" * 650
    pages = small.render(text, "key")
    check_pages(text, pages)
    one = measure_ink(small.render("x", "key")[0])
    assert sum(map(measure_ink, pages)) == pytest.approx(650 * one, rel=0.05)
    assert all(find_inked_columns(page)[-1] < 160 - 8 for page in pages)


def test_justified_lines_end_flush_except_for_the_last_of_a_paragraph() -> None:
    renderer = build_renderer(size="200x100", lineHeight="8", align="justify")
    rights = [find_inked_columns(page)[-1] for page in renderer.render(PROSE.strip(), "key")]
    assert len(rights) > 1
    assert all(200 - 8 - 2 <= right <= 200 - 8 for right in rights[:-1])
    assert rights[-1] < 180


def test_the_pitch_that_tall_letters_need_is_that_of_the_two_lines_that_would_touch_first() -> None:
    extents = np.array([[9, 3], [20, 4], [0, 0], [8, 15], [10, 2]])
    starts, ends = np.array([0, 2, 2, 3, 4]), np.array([2, 2, 3, 4, 5])
    lines = Lines(starts, ends, np.zeros(5, bool))
    assert find_pitch(lines, extents) == 15 + 10 + 1
    assert find_pitch(lines.select(np.array([True, False, False, False, False])), extents) == 0
