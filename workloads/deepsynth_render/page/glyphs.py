"""Glyph bitmaps of one size, drawn once by FreeType and kept in one array of ink."""

from collections.abc import Sequence
from functools import cache

import freetype
import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.growing import GrowingRows

PHASES = 4
"""Each glyph is drawn at four positions within a pixel, so that letters are placed to a quarter of a pixel."""
FULL_INK = 15

OFFSET, WIDTH, HEIGHT, LEFT, TOP = range(5)
"""Columns of GlyphAtlas.boxes, in pixels:

    OFFSET         index of the bitmap's first pixel in the ink
    WIDTH, HEIGHT  extent of the bitmap
    LEFT, TOP      its top left corner, from the glyph's origin; TOP counts upwards

              LEFT
            |------>+-----+ -
            |       |bit- | | TOP
     origin o-------|-map-|-+---- baseline
                    +-----+
"""

_UPRIGHT = freetype.Matrix(0x10000, 0, 0, 0x10000)


class GlyphAtlas:
    """Bitmaps of the glyphs of several fonts at one size. Its size is bounded by the number of glyphs in the fonts.

    A glyph has a slot, and PHASES bitmaps, one for each phase.
    boxes: (slots * PHASES, 5) int32; a glyph's row is slot * PHASES + phase.
    blank: the slots of glyphs without ink, such as a space.
    """

    def __init__(self, families: Sequence[str], size_px: int) -> None:
        self._open_face = cache(lambda font: load_font(families[font]).build_rasteriser(size_px))
        self._slots: dict[tuple[int, int], int] = {}
        self._ink = bytearray()  # one byte per pixel, 0 to FULL_INK
        self._read_ink = np.zeros(0, np.uint8)
        self.boxes = GrowingRows(5)
        self.blank: set[int] = set()

    def read_ink(self) -> NDArray[np.uint8]:
        """(pixels,) uint8, 0 to FULL_INK: all bitmaps, one after another, row by row. Stale after find_slot."""
        if len(self._read_ink) < len(self._ink):
            self._read_ink = np.frombuffer(self._ink, np.uint8).copy()
        return self._read_ink

    def find_slot(self, font: int, glyph: int) -> int:
        """Slot of a glyph, which is drawn now if it is new. font: index into families."""
        key = font, glyph
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = len(self._slots)
            if not self._draw(self._open_face(font), glyph):
                self.blank.add(slot)
        return slot

    def _draw(self, face: freetype.Face, glyph: int) -> bool:
        """Add the glyph's bitmaps and return whether any of them has ink."""
        before = len(self._ink)
        for phase in range(PHASES):
            face.set_transform(_UPRIGHT, freetype.Vector(phase * 64 // PHASES, 0))
            # Light hinting moves outlines only vertically: lines of text are crisp and advances stay as designed.
            face.load_glyph(glyph, freetype.FT_LOAD_RENDER | freetype.FT_LOAD_TARGET_LIGHT | freetype.FT_LOAD_NO_BITMAP)
            drawn = face.glyph
            ink = _quantise(drawn.bitmap)  # (height, width) uint8
            height, width = ink.shape
            left, top = (drawn.bitmap_left, drawn.bitmap_top) if height else (0, 0)
            self.boxes.append(len(self._ink), width, height, left, top)
            self._ink += ink.tobytes()
        return len(self._ink) > before


def _quantise(bitmap: freetype.Bitmap) -> NDArray[np.uint8]:
    """(height, width) uint8: coverage 0 to 255 as ink 0 to FULL_INK, rounded. (0, width) if there is no ink."""
    # FreeType's rows are `pitch` bytes long, of which `width` are pixels.
    coverage = np.array(bitmap.buffer, np.uint16).reshape(bitmap.rows, bitmap.pitch)[:, : bitmap.width]
    ink = ((coverage * FULL_INK + 127) // 255).astype(np.uint8)
    return ink if ink.any() else ink[:0]
