"""The order of pieces on lines with text in both directions."""

from pathlib import Path

import numpy as np

from deepsynth_render.page.lines import Lines
from deepsynth_render.page.reordering import _reorder, place_in_both_directions
from deepsynth_render.page.words import ADVANCE, INKED, SPACE, Directions


def test_the_order_of_a_line_is_that_of_the_test_cases_of_unicode() -> None:
    checked = 0
    for case in Path("tests/fixtures/scripts/bidi_character_test.txt").read_text().splitlines():
        if case.startswith("#"):
            continue
        *_, levels, order = case.split(";")
        kept = [index for index, level in enumerate(levels.split()) if level != "x"]
        if kept:
            found = _reorder(
                np.array([int(level) for level in levels.split() if level != "x"]), np.zeros(len(kept), np.int64)
            )
            assert [kept[index] for index in found] == list(map(int, order.split()))
            checked += 1
    assert checked > 700


def place(levels: str, spaces: str, base: int, lines: list[int], *, width: int = 100) -> list[int]:
    """Left edges of pieces 10 wide with spaces of 1. lines: number of pieces on each."""
    count = len(levels)
    pieces = np.zeros((count, 7), np.int64)
    pieces[:, ADVANCE], pieces[:, SPACE], pieces[:, INKED] = 10, 1, 1
    ends = np.cumsum(lines)
    found = place_in_both_directions(
        Lines(ends - np.array(lines), ends, np.zeros(len(lines), bool)),
        pieces,
        Directions(
            np.array(list(map(int, levels))),
            np.array(list(map(int, spaces))),
            np.full(count, base),
            np.zeros(count, np.int64),
        ),
        None,
        width,
    )
    return [int(edge) for edge in found]


def test_words_of_the_other_direction_are_reversed_within_a_line() -> None:
    assert place("0110", "0100", 0, [4]) == [0, 22, 11, 33]


def test_lines_of_a_paragraph_from_right_to_left_end_at_the_right_edge() -> None:
    assert place("11111", "11111", 1, [3, 2]) == [90, 79, 68, 90, 79]


def test_a_number_within_a_line_from_right_to_left_keeps_its_direction() -> None:
    assert place("1221", "1211", 1, [4]) == [90, 68, 79, 57]


def test_runs_do_not_cross_lines() -> None:
    assert place("0111", "0111", 0, [2, 2]) == [0, 11, 11, 0]
