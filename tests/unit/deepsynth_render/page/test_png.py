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
    rows = build_paper(width, 50)
    draw_with_numpy(rows, (15 - levels).reshape(-1), np.array([[0, width, 50, 0, 0]]))
    png = encode_png(rows, width, compression)
    assert np.array_equal(decode(png), levels * 17)
    assert png[24:26] == bytes([4, 0]), "bit depth 4, greyscale"


def test_small_files_are_smaller_than_fast_ones() -> None:
    atlas, bitmaps = build_bitmaps(3000, 400, 400)
    rows = build_paper(400, 400)
    draw_with_numpy(rows, atlas % 4 * 5, bitmaps)
    assert len(encode_png(rows, 400, "small")) < len(encode_png(rows, 400, "fast"))
