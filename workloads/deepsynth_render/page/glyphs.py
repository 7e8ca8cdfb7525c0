"""Glyph bitmaps of one size, drawn once by FreeType and kept in one array of ink."""

import ctypes
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import freetype
import numpy as np
from freetype import raw
from numpy.typing import NDArray

from deepsynth_api.reasons import Reason
from deepsynth_render.page.compiled.loading import IS_BUILT, core
from deepsynth_render.page.fonts import UPRIGHT, Font, FontStyle, load_font
from deepsynth_render.page.growing import GrowingRows
from deepsynth_render.reporting.dropped import RefusedDocument

BitDepth = Literal[2, 4]
"""Bits of a pixel of a page."""

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


_SLANT: Final = 0x3333  # in 1/65536
# Light hinting moves outlines only vertically: lines of text are crisp and advances stay as designed.
LOAD: Final = freetype.FT_LOAD_TARGET_LIGHT | freetype.FT_LOAD_NO_BITMAP
LIBRARY: Final = str(raw._lib._name)  # noqa: SLF001 - the compiled core must use the same one


MAX_INK: Final = 2**28
"""Pixels of the glyphs of one document: 20,000 different Chinese characters in 58 px have as many."""


class TooManyGlyphsError(RefusedDocument):
    """There is no room for another glyph, unless others are forgotten."""


class Bitmaps:
    """Bitmaps that may belong to glyphs of several sizes, so that one page can show them.

    A glyph has a slot, and PHASES bitmaps, one for each phase.
    boxes: (slots * PHASES, 5) int32; a glyph's row is slot * PHASES + phase.
    blank: the slots of glyphs without ink, such as a space.
    levels: of ink other than none; with fewer than FULL_INK, only multiples of FULL_INK / levels are used.
    """

    def __init__(self, depth: BitDepth = 4, max_ink: int = MAX_INK) -> None:
        """max_ink: pixels, of which each takes up to two bytes, after which no glyph is drawn any more."""
        self.levels = 2**depth - 1
        self._max_ink = max_ink
        self._ink = np.zeros(1 << 16, np.uint8)  # (capacity,), of which the first _pixels are in use
        self._pixels = 0
        self.boxes = GrowingRows(5)
        self.blank: set[int] = set()

    def read_ink(self) -> NDArray[np.uint8]:
        """(pixels,) uint8, 0 to FULL_INK: all bitmaps, one after another, row by row. A view; stale after append."""
        return self._ink[: self._pixels]

    def count_bytes(self) -> int:
        """Upper limit for the memory that the bitmaps take."""
        return 2 * self._pixels + 4 * self.boxes.columns * self.boxes.count

    def require_room(self) -> None:
        """Raise TooManyGlyphsError if there is none for another glyph."""
        if self._pixels >= self._max_ink:
            raise TooManyGlyphsError(
                Reason.OVERFLOW,
                f"its different letters have more than {self._max_ink} pixels; split it, or use a smaller font",
            )

    def add_glyph(self, drawn: "Drawn") -> int:
        """Add a glyph and return its slot."""
        offset, slot = self.add_ink(np.frombuffer(drawn.ink, np.uint8)), self.boxes.count // PHASES
        for width, height, left, top in struct.iter_unpack("4i", drawn.boxes):
            self.boxes.append(offset, width, height, left, top)
            offset += width * height
        if not drawn.ink:
            self.blank.add(slot)
        return slot

    def add_ink(self, ink: NDArray[np.uint8]) -> int:
        """Add pixels that are no glyph, and return the index of the first."""
        offset, self._pixels = self._pixels, self._pixels + ink.size
        if self._pixels > len(self._ink):
            larger = np.zeros(2 * self._pixels, np.uint8)
            larger[:offset] = self._ink[:offset]
            self._ink = larger
        self._ink[offset : self._pixels] = ink.ravel()
        return offset


class GlyphAtlas:
    """The glyphs of several fonts at one size. Their number is bounded by that of the glyphs in the fonts.

    bitmaps: where they are drawn; the atlases of other sizes may use it too.
    """

    def __init__(
        self, families: Sequence[str], size_px: int, style: FontStyle = UPRIGHT, bitmaps: Bitmaps | None = None
    ) -> None:
        self._families = families
        self._style = style
        self._open_face = cache(lambda font: self._load_font(font).build_rasteriser(size_px))
        self._slots: dict[tuple[int, int], int] = {}
        self.bitmaps = bitmaps or Bitmaps()
        self.boxes = self.bitmaps.boxes
        self.blank = self.bitmaps.blank
        self.read_ink = self.bitmaps.read_ink

    def _load_font(self, font: int) -> Font:
        return load_font(self._families[font], self._style)

    def find_slot(self, font: int, glyph: int) -> int:
        """Slot of a glyph, which is drawn now if it is new. font: index into families."""
        key = font, glyph
        slot = self._slots.get(key)
        if slot is None:
            self.bitmaps.require_room()
            slant = _SLANT if self._load_font(font).is_slanted else 0
            drawn = _draw(self._open_face(font), glyph, slant, self.bitmaps.levels)
            slot = self._slots[key] = self.bitmaps.add_glyph(drawn)
        return slot


class Drawn(NamedTuple):
    """A glyph. ink: of all phases, one after another, row by row. boxes: (PHASES, 4) int32 width, height, left, top."""

    ink: bytearray
    boxes: bytes


def _draw(face: freetype.Face, glyph: int, slant: int, levels: int) -> Drawn:
    if IS_BUILT:
        address = ctypes.cast(face._FT_Face, ctypes.c_void_p).value or 0  # noqa: SLF001 - no other way to FreeType's face
        error, ink, boxes = core.draw_glyph(LIBRARY, address, glyph, LOAD, slant, levels)
    else:
        error, ink, boxes = draw_in_python(face, glyph, slant, levels)
    if error:  # a font of a user, of which other glyphs are whole
        found = freetype.FT_Exception(error)
        raise RefusedDocument(Reason.MISSING_GLYPH, f"glyph {glyph} of a font is damaged ({found})")
    return Drawn(ink, boxes)


def draw_in_python(face: freetype.Face, glyph: int, slant: int, levels: int) -> tuple[int, bytearray, bytes]:
    """The glyph in each phase: FreeType's error or 0, and what Drawn holds. It is loaded once, because hinting takes as
    long as drawing.
    """
    # FreeType's own functions and fields: the methods of freetype.Face would take eight times as long as the drawing.
    handle = face._FT_Face  # noqa: SLF001
    raw.FT_Set_Transform(handle, ctypes.byref(raw.FT_Matrix(0x10000, slant, 0, 0x10000)), None)
    error = int(raw.FT_Load_Glyph(handle, glyph, LOAD))
    slot, ink, boxes = handle.contents.glyph, bytearray(), b""
    for _ in range(0 if error else PHASES):
        if error := int(raw.FT_Render_Glyph(slot, freetype.FT_RENDER_MODE_LIGHT)):
            break
        drawn = slot.contents
        pixels = _quantise(drawn.bitmap, levels)
        left, top = (drawn.bitmap_left, drawn.bitmap_top) if len(pixels) else (0, 0)
        ink += pixels.tobytes()
        boxes += struct.pack("4i", pixels.shape[1], len(pixels), left, top)
        drawn.format = freetype.FT_GLYPH_FORMAT_OUTLINE  # the outline is there still, to be drawn in the next phase
        raw.FT_Outline_Translate(ctypes.byref(drawn.outline), 64 // PHASES, 0)
    return error, ink, boxes


def _quantise(bitmap: Any, levels: int) -> NDArray[np.uint8]:
    """(height, width) uint8: coverage 0 to 255 as ink 0 to FULL_INK, rounded. (0, width) if there is no ink."""
    height, width, pitch = bitmap.rows, bitmap.width, bitmap.pitch  # rows are pitch bytes long
    coverage = ctypes.string_at(bitmap.buffer, height * pitch)

    def look_up(table: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(coverage.translate(table), np.uint8).reshape(height, pitch)[:, :width]

    ink = look_up(_build_table(FULL_INK))
    has_ink = bool(ink.any())
    if levels < FULL_INK and has_ink:
        coarse = look_up(_build_table(levels))
        # A thin mark, such as a point of Hebrew, must not disappear.
        ink = coarse if coarse.any() else ink.clip(max=1) * np.uint8(FULL_INK // levels)
    return ink if has_ink else ink[:0]


@cache
def _build_table(levels: int) -> bytes:
    """Coverage -> ink. For bytes.translate, which takes a tenth of the time of arithmetic on small arrays."""
    return bytes((coverage * levels + 127) // 255 * (FULL_INK // levels) for coverage in range(256))
