"""Glyphs onto pages: where each bitmap goes, and the loop that puts it there."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from deepsynth_api.reasons import Reason
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.glyphs import HEIGHT, LEFT, PHASES, TOP, WIDTH
from deepsynth_render.page.growing import Ints, expand_ranges
from deepsynth_render.page.layout import Layout
from deepsynth_render.page.refusal import RefusedDocument
from deepsynth_render.page.words import FIRST_GLYPH, GLYPHS, SLOT, WordCache, X, Y

Ink = NDArray[np.uint8]
Rows = NDArray[np.uint8]
Draw = Callable[[Rows, Ink, Ints], None]

PAGES_BEFORE_COMPILING = 800
"""Where waiting has cost as much as compiling, so that a process of unknown length spends at most twice the best.

Measured on one core: importing numba and compiling take 1.7 s of CPU. That buys 2.1 ms a full page of 1024 px (2.3
against 0.14 ms of drawing, 1,040 bitmaps) and 0.73 ms a page of 512 px (0.78 against 0.05 ms, 380 bitmaps): even at
800 pages of 1024 px, at 2,400 of 512 px.
"""


def place_bitmaps(layout: Layout, rows: Ints, cache: WordCache, geometry: Geometry) -> list[Ints]:
    """For each page the bitmaps to draw, (bitmaps, 5): first pixel in the atlas, width, height, left, top.

    rows: the document's rows of cache.pieces. Raises RefusedDocument("Overflow") for ink beyond the page's edge.
    """
    pieces = cache.pieces.read()[rows[layout.pieces]]
    counts = pieces[:, GLYPHS]
    glyphs = cache.glyphs.read()[expand_ranges(pieces[:, FIRST_GLYPH], counts)]
    # In steps of a phase, to the nearest.
    x = (glyphs[:, X] + np.repeat(layout.x, counts)) * PHASES + 32 >> 6
    baseline = geometry.first_baseline + layout.row * geometry.line_pitch
    y = np.repeat(baseline, counts) - (glyphs[:, Y] + 32 >> 6)
    bitmaps = cache.atlas.boxes.read()[glyphs[:, SLOT] * PHASES + x % PHASES]
    bitmaps[:, LEFT] += x // PHASES
    bitmaps[:, TOP] = y - bitmaps[:, TOP]
    _check_inside(bitmaps, geometry)
    pages = np.repeat(layout.page, counts)
    return np.split(bitmaps, np.searchsorted(pages, np.arange(1, len(layout.page_starts))))


def _check_inside(bitmaps: Ints, geometry: Geometry) -> None:
    far = bitmaps[:, [LEFT, TOP]] + bitmaps[:, [WIDTH, HEIGHT]]
    if bitmaps[:, [LEFT, TOP]].min() < 0 or (far.max(axis=0) > (geometry.width, geometry.height)).any():
        raise RefusedDocument(
            Reason.OVERFLOW, "marks or letters reach beyond the edge of the page; a larger spec.page.marginPx may help"
        )


def draw_with_numpy(rows: Rows, atlas: Ink, bitmaps: Ints) -> None:
    """Draw bitmaps (n, 5) of the atlas onto a page of paper. Where two overlap the darker pixel stays.

    rows: (height, 1 + bytes) the page as PNG has it: a filter byte, then two pixels a byte, the left one high.
    """
    page = np.zeros((len(rows), 2 * rows.shape[1] - 2), np.uint8)
    for offset, width, height, left, top in bitmaps.tolist():
        bitmap = atlas[offset : offset + width * height].reshape(height, width)
        area = page[top : top + height, left : left + width]
        np.maximum(area, bitmap, out=area)
    pairs = page.view("<u2")
    rows[:, 1:] -= (pairs << 4 | pairs >> 8).astype(np.uint8)


def _draw_in_loops(rows: Rows, atlas: Ink, bitmaps: Ints) -> None:
    """What draw_with_numpy does, for numba to compile."""
    page = np.zeros((rows.shape[0], 2 * rows.shape[1] - 2), np.uint8)
    for offset, width, height, left, top in bitmaps:
        for y in range(height):
            bitmap = atlas[offset + y * width : offset + (y + 1) * width]
            area = page[top + y, left : left + width]
            for x in range(width):
                area[x] = max(area[x], bitmap[x])
    for y in range(page.shape[0]):
        ink, row = page[y], rows[y, 1:]
        for x in range(row.shape[0]):
            row[x] -= ink[2 * x] << 4 | ink[2 * x + 1]


class Drawing:
    """draw_with_numpy for the first pages, then the same as machine code, with the same pixels.

    Importing numba and compiling takes a process seconds, so it waits until they are worth it. Where numba is not
    installed nothing changes.
    """

    def __init__(self, pages_before_compiling: int = PAGES_BEFORE_COMPILING) -> None:
        self._left = pages_before_compiling
        self._draw: Draw = draw_with_numpy

    def __call__(self, rows: Rows, atlas: Ink, bitmaps: Ints) -> None:
        if self._left == 0:
            self._draw = compile_draw()
        self._left -= 1
        self._draw(rows, atlas, bitmaps)


@cache
def compile_draw() -> Draw:
    """The loops compiled; draw_with_numpy where numba is not installed."""
    try:
        import numba
    except ImportError:
        return draw_with_numpy
    compiled: Draw = numba.njit("void(u1[:,::1], u1[:], i8[:,::1])")(_draw_in_loops)
    return compiled


draw_page = Drawing()
"""The process's own: its renderers count their pages together."""
