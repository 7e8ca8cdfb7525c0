"""Drawing: where bitmaps go, and the two drawing loops."""

import numpy as np
import pytest

from deepsynth_render.page.png import build_paper, encode_png
from deepsynth_render.page.raster import draw_with_numpy
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.page_images import build_renderer, decode

LARGE = {"size": "240x120", "fontSizesPx": [20]}


def test_where_bitmaps_overlap_the_darker_pixel_is_kept() -> None:
    atlas = np.array([3, 9, 9, 3], np.uint8)
    rows = build_paper(4, 1, 4)
    draw_with_numpy(rows, atlas, np.array([[0, 2, 1, 0, 0], [2, 2, 1, 0, 0], [0, 1, 1, 2, 0]]), 4)
    assert decode(encode_png(rows, 4, 4, "fast")).tolist() == [[17 * 6, 17 * 6, 17 * 12, 255]]


def test_letters_are_drawn_where_the_font_puts_them_to_a_quarter_of_a_pixel() -> None:
    ink = 255.0 - decode(build_renderer(**LARGE).render("l" * 30, "key")[0].png)
    profile = ink.sum(axis=0)
    inked = np.flatnonzero(profile)
    letters = np.split(inked, np.flatnonzero(np.diff(inked) > 1) + 1)
    centres = [np.average(letter, weights=profile[letter]) for letter in letters]
    even = np.linspace(centres[0], centres[-1], 30)
    assert np.abs(centres - even).max() < 0.26


def test_ink_beyond_the_edge_of_the_page_is_refused_and_not_clipped() -> None:
    tall = "\u1ea4"  # a circumflex and an acute above a capital
    assert build_renderer(**LARGE, lineHeight="1").render(tall, "key")
    with pytest.raises(RefusedDocument, match="marginPx") as caught:
        build_renderer(**LARGE | {"marginPx": 0, "lineHeight": "1"}).render(tall, "key")
    assert caught.value.reason == "Overflow"


def test_a_thin_mark_does_not_disappear_from_a_page_of_two_bits() -> None:
    points = "\u05b8 \u05b0 \u05c2"  # of Hebrew, alone: less than a sixth of a pixel each
    for depth in (2, 4):
        renderer = build_renderer(bitDepth=depth)
        page = renderer.render(points, "key")[0]
        assert (decode(page.png) < 255).any()
        assert set(np.unique(decode(page.png)).tolist()) <= set(range(0, 256, 255 // (2**depth - 1)))
