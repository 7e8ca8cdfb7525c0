"""PNG files as other programs read them."""

import numpy as np
import pytest

from deepsynth_render.page.png import Compression, build_paper, encode_png
from deepsynth_render.page.raster import draw_with_numpy
from unit.deepsynth_render.page.page_images import build_bitmaps, decode


@pytest.mark.parametrize("compression", ["small", "fast"])
@pytest.mark.parametrize("width", [6, 7])
def test_pillow_reads_back_each_grey_level(width: int, compression: Compression) -> None:
    levels = np.random.default_rng(1).integers(0, 16, (50, width), np.uint8)
    rows = build_paper(width, 50, 4)
    draw_with_numpy(rows, (15 - levels).reshape(-1), np.array([[0, width, 50, 0, 0]]), 4)
    png = encode_png(rows, width, 4, compression)
    assert np.array_equal(decode(png), levels * 17)
    assert png[24:26] == bytes([4, 0]), "bit depth 4, greyscale"


@pytest.mark.parametrize("width", [5, 6, 7, 8])
def test_pages_of_two_bits_hold_the_nearest_of_four_levels(width: int) -> None:
    levels = np.random.default_rng(1).integers(0, 16, (50, width), np.uint8)
    rows = build_paper(width, 50, 2)
    draw_with_numpy(rows, (15 - levels).reshape(-1), np.array([[0, width, 50, 0, 0]]), 2)
    png = encode_png(rows, width, 2, "fast")
    assert np.array_equal(decode(png), np.round(levels / 5).astype(np.uint8) * 85)
    assert png[24:26] == bytes([2, 0]), "bit depth 2, greyscale"


def test_small_files_are_smaller_than_fast_ones() -> None:
    atlas, bitmaps = build_bitmaps(3000, 400, 400)
    rows = build_paper(400, 400, 4)
    draw_with_numpy(rows, atlas % 4 * 5, bitmaps, 4)
    assert len(encode_png(rows, 400, 4, "small")) < len(encode_png(rows, 400, 4, "fast"))
