"""Drawing: where bitmaps go, and the two drawing loops."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from deepsynth_render.page.png import build_paper, encode_png
from deepsynth_render.page.raster import Drawing, compile_draw, draw_with_numpy
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.page_images import build_bitmaps, build_renderer, decode

LARGE = {"size": "240x120", "fontSizesPx": [20]}


@pytest.fixture(autouse=True)
def _forget_the_compiled_loop() -> Iterator[None]:
    compile_draw.cache_clear()
    yield
    compile_draw.cache_clear()


@pytest.mark.parametrize("width", [96, 97])
def test_compiled_code_and_numpy_draw_the_same_pixels(width: int) -> None:
    atlas, bitmaps = build_bitmaps(400, width, 80)
    drawn = []
    for draw in (draw_with_numpy, compile_draw()):
        rows = build_paper(width, 80)
        draw(rows, atlas, bitmaps)
        drawn.append(rows)
    assert compile_draw() is not draw_with_numpy
    assert np.array_equal(drawn[0], drawn[1])


def test_where_bitmaps_overlap_the_darker_pixel_is_kept() -> None:
    atlas = np.array([3, 9, 9, 3], np.uint8)
    rows = build_paper(4, 1)
    draw_with_numpy(rows, atlas, np.array([[0, 2, 1, 0, 0], [2, 2, 1, 0, 0], [0, 1, 1, 2, 0]]))
    assert decode(encode_png(rows, 4, "fast")).tolist() == [[17 * 6, 17 * 6, 17 * 12, 255]]


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


def test_without_numba_numpy_draws_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    assert compile_draw() is draw_with_numpy


def test_compiling_waits_until_there_are_enough_pages() -> None:
    calls: list[str] = []
    draw = Drawing(
        pages_before_compiling=2,
        draw=lambda *_: calls.append("numpy"),
        compile_loops=lambda: lambda *_: calls.append("compiled"),
    )
    atlas, bitmaps = build_bitmaps(1, 20, 20)
    for _ in range(4):
        draw(build_paper(20, 20), atlas, bitmaps)
    assert calls == ["numpy", "numpy", "compiled", "compiled"]
