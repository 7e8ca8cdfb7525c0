"""Glyph bitmaps of one size, drawn once by FreeType and kept."""

from collections.abc import Sequence

import freetype
import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.fonts import Font
from deepsynth_render.page.growing import GrowingRows

PHASES = 4
"""Horizontal positions within a pixel, so that letters stand where the shaper puts them to a quarter pixel."""
FULL_INK = 15

OFFSET, WIDTH, HEIGHT, LEFT, TOP = range(5)
"""Columns of GlyphAtlas.boxes: first pixel in the ink, extent, and the place of the top left corner from the
origin, TOP counting upwards; all in pixels."""

_UPRIGHT = freetype.Matrix(0x10000, 0, 0, 0x10000)


class GlyphAtlas:
    """Bitmaps of the glyphs of several fonts at one size, one for each phase. It is bounded by the fonts.

    boxes: rows of 5; slot * PHASES + phase is the row of a glyph. blank: the slots that draw nothing, as a space does.
    """

    def __init__(self, fonts: Sequence[Font], size_px: int) -> None:
        self._faces = [font.build_rasteriser(size_px) for font in fonts]
        self._slots: dict[tuple[int, int], int] = {}
        self._ink = bytearray()
        self._read_ink = np.zeros(0, np.uint8)
        self.boxes = GrowingRows(5)
        self.blank: set[int] = set()

    def read_ink(self) -> NDArray[np.uint8]:
        """(pixels,) 0 to FULL_INK, the bitmaps one after another, row by row. Stale after the next find_slot."""
        if len(self._read_ink) < len(self._ink):
            self._read_ink = np.frombuffer(self._ink, np.uint8).copy()
        return self._read_ink

    def find_slot(self, font: int, glyph: int) -> int:
        """Slot of a glyph, drawing it first when it is new. font: index into the fonts given at the start."""
        key = font, glyph
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = len(self._slots)
            if not self._draw(self._faces[font], glyph):
                self.blank.add(slot)
        return slot

    def _draw(self, face: freetype.Face, glyph: int) -> bool:
        """Add the glyph's bitmaps; whether any has ink."""
        before = len(self._ink)
        for phase in range(PHASES):
            face.set_transform(_UPRIGHT, freetype.Vector(phase * 64 // PHASES, 0))
            # Light hinting moves outlines only vertically: crisp lines of text, advances as designed.
            face.load_glyph(glyph, freetype.FT_LOAD_RENDER | freetype.FT_LOAD_TARGET_LIGHT | freetype.FT_LOAD_NO_BITMAP)
            drawn = face.glyph
            ink = _quantise(drawn.bitmap)
            height, width = ink.shape
            left, top = (drawn.bitmap_left, drawn.bitmap_top) if height else (0, 0)
            self.boxes.append(len(self._ink), width, height, left, top)
            self._ink += ink.tobytes()
        return len(self._ink) > before


def _quantise(bitmap: freetype.Bitmap) -> NDArray[np.uint8]:
    """Coverage 0 to 255 as ink 0 to FULL_INK, rounded; no rows when nothing is inked."""
    coverage = np.array(bitmap.buffer, np.uint16).reshape(bitmap.rows, bitmap.pitch)[:, : bitmap.width]
    ink = ((coverage * FULL_INK + 127) // 255).astype(np.uint8)
    return ink if ink.any() else ink[:0]
