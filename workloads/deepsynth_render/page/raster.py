"""Glyphs onto pages: where each bitmap goes, and the loop that draws it there.

Both exist twice: compiled (compiled/*.c) and in numpy, with the same results bit for bit.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deepsynth_api.reasons import Reason
from deepsynth_render.page.compiled.loading import IS_BUILT, core
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.glyphs import FULL_INK, HEIGHT, LEFT, PHASES, TOP, WIDTH, BitDepth
from deepsynth_render.page.growing import Ints, expand_ranges
from deepsynth_render.page.layout import Layout
from deepsynth_render.page.words import FIRST_GLYPH, GLYPHS, SLOT, WordCache, X, Y
from deepsynth_render.reporting.dropped import RefusedDocument

Ink = NDArray[np.uint8]
"""(pixels,) the bitmaps of GlyphAtlas.read_ink."""
Rows = NDArray[np.uint8]
"""(height, 1 + bytes) a page as in png.py."""


def place_bitmaps(layout: Layout, rows: Ints, cache: WordCache, geometry: Geometry) -> list[Ints]:
    """For each page the bitmaps to draw, (bitmaps, 5) int64: first pixel in the atlas, width, height, left, top.

    left and top are pixels of the page, top counting downwards. rows: (pieces,) the document's rows of cache.pieces.
    Raises RefusedDocument(Reason.OVERFLOW) for ink beyond the edge of the page.
    """
    place = place_compiled if IS_BUILT else place_with_numpy
    placed = place(layout, rows, cache, geometry)
    if placed is None:
        raise RefusedDocument(
            Reason.OVERFLOW, "letters or marks reach beyond the edge of the page; a larger spec.page.marginPx may help"
        )
    bitmaps, counts = placed
    ends = np.cumsum(counts).tolist()
    return [bitmaps[start:end] for start, end in pairwise([0, *ends])]


def draw_page(rows: Rows, atlas: Ink, bitmaps: Ints, depth: BitDepth) -> None:
    """Make `rows` a white page with the bitmaps (n, 5) of the atlas. Where two overlap, the darker pixel is kept."""
    if IS_BUILT:
        core.draw_page(rows, rows.shape[1], atlas, bitmaps, depth)
    else:
        draw_with_numpy(rows, atlas, bitmaps, depth)


def place_compiled(layout: Layout, rows: Ints, cache: WordCache, geometry: Geometry) -> tuple[Ints, Ints] | None:
    """(bitmaps of all pages, 5), and (pages,) how many are on each. None if one reaches beyond the page."""
    placed = core.place_bitmaps(
        layout.pieces,
        layout.x,
        layout.page,
        layout.row,
        rows,
        cache.pieces.read(),
        cache.glyphs.read(),
        cache.atlas.boxes.read(),
        len(layout.page_starts),
        geometry.width,
        geometry.height,
        geometry.first_baseline,
        geometry.line_pitch,
    )
    if placed is None:
        return None
    bitmaps, counts = placed
    return np.frombuffer(bitmaps, np.int64).reshape(-1, 5), np.frombuffer(counts, np.int64)


def place_with_numpy(layout: Layout, rows: Ints, cache: WordCache, geometry: Geometry) -> tuple[Ints, Ints] | None:
    """The same as place_compiled."""
    pieces = cache.pieces.take(rows[layout.pieces])  # (n, 6) the pieces on lines
    counts = pieces[:, GLYPHS]  # (n,)
    glyphs = cache.glyphs.take(expand_ranges(pieces[:, FIRST_GLYPH], counts))  # (glyphs, 3) of the whole document
    # (glyphs,) from 1/64 px to the nearest 1/PHASES px
    x = (glyphs[:, X] + np.repeat(layout.x, counts)) * PHASES + 32 >> 6
    baseline = geometry.first_baseline + layout.row * geometry.line_pitch  # (n,) px
    y = np.repeat(baseline, counts) - (glyphs[:, Y] + 32 >> 6)  # (glyphs,) px, downwards
    bitmaps = cache.atlas.boxes.take(glyphs[:, SLOT] * PHASES + x % PHASES)  # (glyphs, 5)
    bitmaps[:, LEFT] += x // PHASES
    bitmaps[:, TOP] = y - bitmaps[:, TOP]
    far = bitmaps[:, [LEFT, TOP]] + bitmaps[:, [WIDTH, HEIGHT]]  # (bitmaps, 2) the right and lower edges
    if bitmaps[:, [LEFT, TOP]].min() < 0 or (far.max(axis=0) > (geometry.width, geometry.height)).any():
        return None
    return bitmaps, np.bincount(np.repeat(layout.page, counts), minlength=len(layout.page_starts))


def draw_with_numpy(rows: Rows, atlas: Ink, bitmaps: Ints, depth: BitDepth) -> None:
    """The same as draw_page."""
    per_byte = 8 // depth
    page = np.zeros((len(rows), per_byte * (rows.shape[1] - 1)), np.uint8)  # (height, width), ink of each pixel
    for offset, width, height, left, top in bitmaps.tolist():
        bitmap = atlas[offset : offset + width * height].reshape(height, width)
        area = page[top : top + height, left : left + width]
        np.maximum(area, bitmap, out=area)
    levels = 2**depth - 1
    ink = (page * levels + FULL_INK // 2) // FULL_INK
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)  # (per_byte,) the first pixel is in the highest bits
    rows[:, 0] = 0
    rows[:, 1:] = 0xFF - (ink.reshape(len(rows), -1, per_byte) << shifts).sum(axis=2, dtype=np.uint8)
