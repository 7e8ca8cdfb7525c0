"""Glyphs onto pages: where each bitmap goes, and the loop that draws it there."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from deepsynth_api.reasons import Reason
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.glyphs import HEIGHT, LEFT, PHASES, TOP, WIDTH
from deepsynth_render.page.growing import Ints, expand_ranges
from deepsynth_render.page.layout import Layout
from deepsynth_render.page.words import FIRST_GLYPH, GLYPHS, SLOT, WordCache, X, Y
from deepsynth_render.reporting.dropped import RefusedDocument

Ink = NDArray[np.uint8]
"""(pixels,) the bitmaps of GlyphAtlas.read_ink."""
Rows = NDArray[np.uint8]
"""(height, 1 + bytes) a page as in png.py."""
Draw = Callable[[Rows, Ink, Ints], None]

PAGES_BEFORE_COMPILING = 800
"""Drawing this many pages without compiling costs about as much as compiling. A process does not know how many pages it
will draw, so by compiling at this point it never spends more than twice the optimum.

Measured on one core: importing numba and compiling take 1.7 s of CPU. That buys 2.1 ms a full page of 1024 px (2.3
against 0.14 ms of drawing, 1,040 bitmaps) and 0.73 ms a page of 512 px (0.78 against 0.05 ms, 380 bitmaps): even at
800 pages of 1024 px, at 2,400 of 512 px.
"""


def place_bitmaps(layout: Layout, rows: Ints, cache: WordCache, geometry: Geometry) -> list[Ints]:
    """For each page the bitmaps to draw, (bitmaps, 5) int64: first pixel in the atlas, width, height, left, top.

    left and top are pixels of the page, top counting downwards. rows: (pieces,) the document's rows of cache.pieces.
    Raises RefusedDocument(Reason.OVERFLOW) for ink beyond the edge of the page.
    """
    pieces = cache.pieces.read()[rows[layout.pieces]]  # (n, 6) the pieces on lines
    counts = pieces[:, GLYPHS]  # (n,)
    glyphs = cache.glyphs.read()[expand_ranges(pieces[:, FIRST_GLYPH], counts)]  # (glyphs, 3) of the whole document
    # (glyphs,) from 1/64 px to the nearest 1/PHASES px
    x = (glyphs[:, X] + np.repeat(layout.x, counts)) * PHASES + 32 >> 6
    baseline = geometry.first_baseline + layout.row * geometry.line_pitch  # (n,) px
    y = np.repeat(baseline, counts) - (glyphs[:, Y] + 32 >> 6)  # (glyphs,) px, downwards
    bitmaps = cache.atlas.boxes.read()[glyphs[:, SLOT] * PHASES + x % PHASES]  # (glyphs, 5), a copy
    bitmaps[:, LEFT] += x // PHASES
    bitmaps[:, TOP] = y - bitmaps[:, TOP]
    _check_inside(bitmaps, geometry)
    pages = np.repeat(layout.page, counts)  # (glyphs,) ascending
    return np.split(bitmaps, np.searchsorted(pages, np.arange(1, len(layout.page_starts))))


def _check_inside(bitmaps: Ints, geometry: Geometry) -> None:
    far = bitmaps[:, [LEFT, TOP]] + bitmaps[:, [WIDTH, HEIGHT]]  # (bitmaps, 2) the right and lower edges
    if bitmaps[:, [LEFT, TOP]].min() < 0 or (far.max(axis=0) > (geometry.width, geometry.height)).any():
        raise RefusedDocument(
            Reason.OVERFLOW, "letters or marks reach beyond the edge of the page; a larger spec.page.marginPx may help"
        )


def draw_with_numpy(rows: Rows, atlas: Ink, bitmaps: Ints) -> None:
    """Draw bitmaps (n, 5) of the atlas onto a white page. Where two bitmaps overlap, the darker pixel is kept."""
    page = np.zeros((len(rows), 2 * rows.shape[1] - 2), np.uint8)  # (height, even width), ink of each pixel
    for offset, width, height, left, top in bitmaps.tolist():
        bitmap = atlas[offset : offset + width * height].reshape(height, width)
        area = page[top : top + height, left : left + width]
        np.maximum(area, bitmap, out=area)
    pairs = page.view("<u2")  # (height, bytes) left pixel | right pixel << 8
    rows[:, 1:] -= (pairs << 4 | pairs >> 8).astype(np.uint8)


def _draw_in_loops(rows: Rows, atlas: Ink, bitmaps: Ints) -> None:
    """The same as draw_with_numpy, written for numba to compile."""
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


@cache
def compile_draw() -> Draw:
    """The loops compiled; draw_with_numpy where numba is not installed."""
    try:
        import numba
    except ImportError:
        return draw_with_numpy
    compiled: Draw = numba.njit("void(u1[:,::1], u1[:], i8[:,::1])")(_draw_in_loops)
    return compiled


class Drawing:
    """Draws the first pages with draw_with_numpy and later ones with compiled code, which draws the same pixels.

    Importing numba and compiling takes seconds, so this waits until they pay off. Without numba it never compiles.
    """

    def __init__(
        self,
        pages_before_compiling: int = PAGES_BEFORE_COMPILING,
        *,
        draw: Draw = draw_with_numpy,
        compile_loops: Callable[[], Draw] = compile_draw,
    ) -> None:
        self._left = pages_before_compiling
        self._draw = draw
        self._compile = compile_loops

    def __call__(self, rows: Rows, atlas: Ink, bitmaps: Ints) -> None:
        if self._left == 0:
            self._draw = self._compile()
        self._left -= 1
        self._draw(rows, atlas, bitmaps)


draw_page = Drawing()
"""One for the process: all its renderers count their pages together."""
