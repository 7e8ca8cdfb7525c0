"""Glyphs onto pages: where each bitmap goes, and the loop that puts it there."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.geometry import Geometry
from deepsynth_render.glyphs import HEIGHT, LEFT, OFFSET, PHASES, TOP, WIDTH
from deepsynth_render.growing import expand_ranges
from deepsynth_render.layout import Layout
from deepsynth_render.lines import Ints
from deepsynth_render.refusal import RefusedDocument
from deepsynth_render.words import FIRST_GLYPH, GLYPHS, SLOT, WordCache, X, Y

Ink = NDArray[np.uint8]


def place_bitmaps(layout: Layout, rows: Ints, cache: WordCache, geometry: Geometry) -> list[Ints]:
    """For each page the bitmaps to draw, (bitmaps, 5): first pixel in the atlas, width, height, left, top.

    rows: the document's rows of cache.pieces. Raises RefusedDocument("Overflow") for ink beyond the page's edge.
    """
    pieces = cache.pieces.rows[rows[layout.pieces]]
    counts = pieces[:, GLYPHS]
    glyphs = cache.glyphs.rows[expand_ranges(pieces[:, FIRST_GLYPH], counts)]
    # In steps of a phase, to the nearest.
    x = (glyphs[:, X] + np.repeat(layout.x, counts)) * PHASES + 32 >> 6
    baseline = geometry.first_baseline + layout.row * geometry.line_pitch
    y = np.repeat(baseline, counts) - (glyphs[:, Y] + 32 >> 6)
    bitmaps = cache.atlas.boxes.rows[glyphs[:, SLOT] * PHASES + x % PHASES]
    bitmaps[:, LEFT] += x // PHASES
    bitmaps[:, TOP] = y - bitmaps[:, TOP]
    _check_inside(bitmaps, geometry)
    pages = np.repeat(layout.page, counts)
    return np.split(bitmaps, np.searchsorted(pages, np.arange(1, len(layout.page_starts))))


def _check_inside(bitmaps: Ints, geometry: Geometry) -> None:
    far = bitmaps[:, [LEFT, TOP]] + bitmaps[:, [WIDTH, HEIGHT]]
    if bitmaps[:, [LEFT, TOP]].min() < 0 or (far.max(axis=0) > (geometry.width, geometry.height)).any():
        raise RefusedDocument(
            "Overflow", "marks or letters reach beyond the edge of the page; a larger spec.page.marginPx may help"
        )


def draw_with_numpy(page: Ink, atlas: Ink, bitmaps: Ints) -> None:
    """Draw bitmaps from the atlas onto a page of ink. Where two overlap the darker pixel stays."""
    for offset, width, height, left, top in bitmaps.tolist():
        bitmap = atlas[offset : offset + width * height].reshape(height, width)
        area = page[top : top + height, left : left + width]
        np.maximum(area, bitmap, out=area)


def _draw_pixels(page: Ink, atlas: Ink, bitmaps: Ints) -> None:
    for bitmap in range(len(bitmaps)):
        offset, width, height, left, top = bitmaps[bitmap]
        for row in range(height):
            source = offset + row * width
            for column in range(width):
                ink = atlas[source + column]
                if ink > page[top + row, left + column]:
                    page[top + row, left + column] = ink


@cache
def load_draw() -> Callable[[Ink, Ink, Ints], None]:
    """The drawing loop as machine code, or in numpy, ten times slower, where numba is not installed.

    Both give the same pixels. Compiling takes a second, once per process.
    """
    try:
        import numba
    except ImportError:
        return draw_with_numpy
    return numba.njit(_draw_pixels)
