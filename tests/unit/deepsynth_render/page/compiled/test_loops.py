"""The compiled loops: equal to their numpy twins, and safe with any input."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsynth_render.page.compiled.loading import core
from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.geometry import build_geometry
from deepsynth_render.page.glyphs import BitDepth
from deepsynth_render.page.layout import lay_out
from deepsynth_render.page.lines import break_in_python
from deepsynth_render.page.png import build_paper
from deepsynth_render.page.raster import draw_with_numpy, place_compiled, place_with_numpy
from deepsynth_render.page.words import GLYPHS, LINE_FEED, WordCache
from unit.deepsynth_render.page.page_images import PROSE, build_bitmaps, build_page

Ints = NDArray[Any]


@pytest.mark.parametrize("depth", [4, 2])
@pytest.mark.parametrize("width", [96, 97, 98, 99])
def test_c_and_numpy_draw_the_same_pixels(width: int, depth: BitDepth) -> None:
    atlas, bitmaps = build_bitmaps(400, width, 80)
    expected, drawn = build_paper(width, 80, depth), build_paper(width, 80, depth)
    for _ in range(2):  # the second page finds nothing of the first
        draw_with_numpy(expected, atlas, bitmaps, depth)
        core.draw_page(drawn, drawn.shape[1], atlas, bitmaps, depth)
        assert np.array_equal(expected, drawn)
        bitmaps = bitmaps[:3]


@pytest.mark.parametrize("seed", range(60))
def test_c_and_python_break_the_same_lines(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 60))
    pieces = random.integers(0, 60, (count, 7))
    pieces[:, GLYPHS] = random.integers(0, 2, count)
    feeds = random.random(count) < 0.15
    feeds[-1] = False  # a document ends with a word
    feeds[1:] &= ~feeds[:-1]  # and so does a paragraph
    feeds[0] = False
    glued = random.integers(0, 2, count) if seed % 2 else None
    expected = break_in_python(pieces, feeds, 100, glued)
    found = np.frombuffer(core.break_lines(pieces, feeds, 100, glued), np.int64).reshape(-1, 3)
    assert found.tolist() == np.column_stack([expected.starts, expected.ends, expected.closing]).tolist()


def test_lines_of_odd_pieces_are_errors_or_end() -> None:
    pieces, feeds = np.full((5, 7), 500), np.ones(5, bool)
    lines = np.frombuffer(core.break_lines(pieces, feeds, 100, None), np.int64).reshape(-1, 3)
    assert lines.tolist() == [[at, at, 1] for at in range(6)]
    lines = np.frombuffer(core.break_lines(pieces, ~feeds, 100, None), np.int64).reshape(-1, 3)
    assert lines[:, 0].tolist() == list(range(5))
    empty = core.break_lines(pieces[:0], feeds[:0], 100, None)
    assert np.frombuffer(empty, np.int64).tolist() == [0, 0, 1]
    for wrong in (
        (pieces, feeds[:4], 100, None),
        (pieces, feeds, -1, None),
        (pieces, feeds, 100, pieces[:2, 0].copy()),
    ):
        with pytest.raises(ValueError, match="differ in length"):
            core.break_lines(*wrong)
    for huge in (2**41, 2**62, -(2**62)):
        with pytest.raises(ValueError, match="too large"):
            core.break_lines(np.full((5, 7), huge), feeds, 100, None)


def test_a_canvas_is_used_for_pages_of_any_size() -> None:
    for width, height in [(40, 900), (900, 40), (20, 20), (901, 901), (2, 1)]:
        atlas, bitmaps = build_bitmaps(40, max(width, 12), max(height, 12))
        bitmaps = bitmaps[(bitmaps[:, 3] + bitmaps[:, 1] <= width) & (bitmaps[:, 4] + bitmaps[:, 2] <= height)]
        expected, drawn = build_paper(width, height, 4), build_paper(width, height, 4)
        draw_with_numpy(expected, atlas, bitmaps, 4)
        core.draw_page(drawn, drawn.shape[1], atlas, bitmaps, 4)
        assert np.array_equal(expected, drawn)


HUGE = 2**62


@pytest.mark.parametrize(
    "bitmap",
    [
        *([offset, 2, 2, 0, 0] for offset in (-1, 97, HUGE, -HUGE)),
        *([0, width, 2, 0, 0] for width in (-1, 41, HUGE, -HUGE)),
        *([0, 2, height, 0, 0] for height in (-1, 21, HUGE, -HUGE)),
        *([0, 2, 2, left, 0] for left in (-1, 39, HUGE, -HUGE)),
        *([0, 2, 2, 0, top] for top in (-1, 19, HUGE, -HUGE)),
        [0, 40, 20, 0, 0],
    ],
)
def test_a_bitmap_outside_of_the_page_or_the_atlas_is_an_error(bitmap: list[int]) -> None:
    rows = build_paper(40, 20, 4)
    with pytest.raises(ValueError, match="number 0 is not inside"):
        core.draw_page(rows, rows.shape[1], np.ones(100, np.uint8), np.array([bitmap]), 4)
    assert np.array_equal(rows, build_paper(40, 20, 4))


def test_buffers_of_another_shape_are_errors() -> None:
    rows, atlas, bitmaps = build_paper(40, 20, 4), np.ones(100, np.uint8), np.zeros((2, 5), np.int64)
    for stride in (0, -1, 13, 2**40):
        with pytest.raises(ValueError, match="rows: must be"):
            core.draw_page(rows, stride, atlas, bitmaps, 4)
    for depth in (0, 1, 3, 8, -4):
        with pytest.raises(ValueError, match="bits per pixel"):
            core.draw_page(rows, rows.shape[1], atlas, bitmaps, depth)
    with pytest.raises(ValueError, match="bitmaps: must be"):
        core.draw_page(rows, rows.shape[1], atlas, bitmaps[0, :4].copy(), 4)
    with pytest.raises(ValueError, match="bitmaps: must be"):
        core.draw_page(rows, rows.shape[1], atlas, np.zeros(88, np.uint8)[4:-4].view(np.int64), 4)
    with pytest.raises(TypeError):
        core.draw_page(rows[:, ::2], rows.shape[1], atlas, bitmaps, 4)


@pytest.mark.parametrize("settings", [{}, {"columns": 2, "size": "300x120", "align": "justify"}, {"marginPx": 0}])
def test_c_and_numpy_place_the_same_bitmaps(settings: dict[str, object]) -> None:
    page = build_page(**settings)
    font = load_font("DejaVu Sans")
    geometry = build_geometry(page, font, 8)
    cache = WordCache(font, 8, geometry.column_width, 10**6)
    rows = cache.find_pieces(PROSE.strip() + " \u1ea4\n\nfi").rows
    layout = lay_out(cache.pieces.take(rows), rows == LINE_FEED, geometry, justify=page.align == "justify")
    expected, placed = (place(layout, rows, cache, geometry) for place in (place_with_numpy, place_compiled))
    if settings.get("marginPx") == 0:
        assert expected is placed is None
        return
    assert expected is not None
    assert placed is not None
    assert len(expected[1]) > 2
    assert np.array_equal(expected[0], placed[0])
    assert np.array_equal(expected[1], placed[1])


def build_arguments() -> tuple[list[Ints], list[int]]:
    """Two pieces of one glyph each, on one page."""
    ones = np.zeros(2, np.int64)
    pieces = np.array([[64, 0, 1, 0, 1, 1, 0], [64, 0, 1, 1, 1, 1, 0]], np.int32)
    glyphs, boxes = np.zeros((2, 3), np.int32), np.tile([0, 2, 2, 0, 2], (4, 1)).astype(np.int32)
    return [np.arange(2), ones, ones, ones, np.arange(2), pieces, glyphs, boxes], [1, 20, 20, 10, 10]


def test_any_wrong_index_is_an_error() -> None:
    place: Any = core.place_bitmaps
    arrays, numbers = build_arguments()
    assert place(*arrays, *numbers) is not None
    random = np.random.default_rng(3)
    errors = 0
    for _ in range(5000):
        arrays, numbers = build_arguments()
        array = arrays[random.integers(8)].copy()
        odd = int(random.choice([-1, 1, 2, 3, 100, 2**31, 2**40, 2**62, -(2**62), 2**63 - 1, -(2**63)]))
        array.flat[random.integers(array.size)] = np.array(odd).astype(array.dtype)
        arrays = [array if other.shape == array.shape and random.random() < 0.5 else other for other in arrays]
        try:
            place(*arrays, *numbers)
        except ValueError:
            errors += 1
    assert errors > 500
