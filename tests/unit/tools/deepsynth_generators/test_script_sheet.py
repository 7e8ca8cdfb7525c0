"""The sheet of scripts."""

import numpy as np

from deepsynth_generators.script_sheet import COLUMNS, SHEET, TEXTS, draw_sheet


def test_the_sheet_shows_each_text_in_a_place_of_its_own() -> None:
    texts = [line.split("\t")[2] for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    sheet = np.asarray(draw_sheet(texts).convert("L"))
    rows = -(-len(texts) // COLUMNS)
    height, width = sheet.shape[0] // rows, sheet.shape[1] // COLUMNS
    for index in range(len(texts)):
        column, row = divmod(index, rows)
        place = sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
        assert (place < 128).any()
    assert SHEET.exists()
