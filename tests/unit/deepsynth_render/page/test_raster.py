"""Pixels and files: the drawing loops, and PNG as other programs read it."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from deepsynth_render.page import raster
from deepsynth_render.page.png import Compression, build_paper, encode_png
from deepsynth_render.page.raster import Drawing, compile_draw, draw_with_numpy
from unit.deepsynth_render.page.page_images import decode

Bitmaps = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@pytest.fixture(autouse=True)
def _forget_the_compiled_loop() -> Iterator[None]:
    compile_draw.cache_clear()
    yield
    compile_draw.cache_clear()


def build_bitmaps(count: int, width: int, height: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint8]], Bitmaps]:
    """Random overlapping bitmaps inside a page, some of them empty."""
    random = np.random.default_rng(7)
    sizes = random.integers(0, 12, (count, 2))
    ends = (sizes[:, 0] * sizes[:, 1]).cumsum()
    corners = random.integers(0, np.array([width, height]) - sizes, (count, 2))
    bitmaps = np.column_stack([ends - sizes[:, 0] * sizes[:, 1], sizes, corners]).astype(np.int64)
    return random.integers(0, 16, int(ends[-1]), np.uint8), bitmaps


@pytest.mark.parametrize("width", [96, 97])
def test_machine_code_and_numpy_draw_the_same_pixels(width: int) -> None:
    atlas, bitmaps = build_bitmaps(400, width, 80)
    drawn = []
    for draw in (draw_with_numpy, compile_draw()):
        rows = build_paper(width, 80)
        draw(rows, atlas, bitmaps)
        drawn.append(rows)
    assert compile_draw() is not draw_with_numpy
    assert np.array_equal(drawn[0], drawn[1])


def test_where_bitmaps_overlap_the_darker_pixel_stays() -> None:
    atlas = np.array([3, 9, 9, 3], np.uint8)
    rows = build_paper(4, 1)
    draw_with_numpy(rows, atlas, np.array([[0, 2, 1, 0, 0], [2, 2, 1, 0, 0], [0, 1, 1, 2, 0]]))
    assert decode(encode_png(rows, 4, "fast")).tolist() == [[17 * 6, 17 * 6, 17 * 12, 255]]


def test_numpy_draws_on_where_numba_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    assert compile_draw() is draw_with_numpy


def test_compiling_waits_until_there_are_pages_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(raster, "draw_with_numpy", lambda *_: calls.append("numpy"))
    monkeypatch.setattr(raster, "compile_draw", lambda: lambda *_: calls.append("compiled"))
    draw = Drawing(pages_before_compiling=2)
    atlas, bitmaps = build_bitmaps(1, 20, 20)
    for _ in range(4):
        draw(build_paper(20, 20), atlas, bitmaps)
    assert calls == ["numpy", "numpy", "compiled", "compiled"]


@pytest.mark.parametrize("compression", ["small", "fast"])
@pytest.mark.parametrize("width", [6, 7])
def test_pillow_reads_back_each_grey_level_exactly(width: int, compression: Compression) -> None:
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
