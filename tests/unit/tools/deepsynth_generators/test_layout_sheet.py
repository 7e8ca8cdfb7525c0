"""The sheet of layouts."""

import numpy as np

from deepsynth_generators.layout_sheet import SHEET, draw_sheet


def test_the_sheet_shows_pages_that_differ() -> None:
    sheet = np.asarray(draw_sheet().convert("L"))
    width = (sheet.shape[1] - 1) // 2
    left, right = sheet[1:-1, 1:width], sheet[1:-1, 1 + width : 2 * width]
    assert (left < 128).any()
    assert (right < 128).any()
    assert not np.array_equal(left, right)
    assert SHEET.exists()
