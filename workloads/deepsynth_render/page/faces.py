"""The fonts and sizes of a document: a cache of words for each, all drawing from the same bitmaps."""

from functools import cache
from typing import Final, NamedTuple

import numpy as np

from deepsynth_render.page.fonts import Font, find_styled
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.glyphs import FULL_INK
from deepsynth_render.page.markdown.blocks import PLAIN, Look
from deepsynth_render.page.words import Shapes, WordCache

MONOSPACE: Final = "DejaVu Sans Mono"
NARROW_EMS: Final = 4
"""Words are cut into parts of at most this width where a column of a table is narrower than a word."""
_HEADING_STEP: Final = 0.15  # what each level of heading adds to the font size, at least a pixel
LIGHT, GREY, BLACK = 1, 7, FULL_INK
"""Ink behind code, of frames, and of lines that are text."""


class Metrics(NamedTuple):
    """Of a line, in pixels. baseline: from its top."""

    pitch: int
    baseline: int

    def widen(self, pitch: int) -> "Metrics":
        """The same with at least this pitch, for tall letters."""
        extra = max(pitch - self.pitch, 0)
        return Metrics(self.pitch + extra, self.baseline + extra // 2)


class Faces:
    """size_px: of body text. Headings are larger, each level by the same step."""

    def __init__(self, font: Font, size_px: int, geometry: Geometry, shapes: Shapes) -> None:
        self.size_px = size_px
        self.shapes = shapes
        self._font = font
        self._line_height = geometry.line_pitch / size_px
        self._column_width = geometry.column_width
        self._find_cache = cache(self._build_cache)
        self.find_ink = cache(self._add_ink)
        self._longest = max(geometry.width, geometry.height)

    @property
    def body(self) -> WordCache:
        """The words of plain text."""
        return self.find(PLAIN, self.size_px, narrow=False)

    def find(self, look: Look, size_px: int, *, narrow: bool) -> WordCache:
        """The words in one look and size. narrow: none of their pieces is wider than NARROW_EMS."""
        return self._find_cache(look.code, look.bold, look.italic, size_px, narrow)

    def find_heading_size(self, level: int) -> int:
        """In pixels; a heading of level 6 has the size of the body."""
        return self.size_px + (6 - level) * max(round(_HEADING_STEP * self.size_px), 1)

    def measure(self, size_px: int) -> Metrics:
        pitch = int(self._line_height * size_px + 0.5)
        leading = pitch - (self._font.ascender - self._font.descender) * size_px
        return Metrics(pitch, round(leading / 2 + self._font.ascender * size_px))

    def _build_cache(self, code: bool, bold: bool, italic: bool, size_px: int, narrow: bool) -> WordCache:
        font = find_styled(MONOSPACE if code else self._font.family, bold=bold, italic=italic)
        width = min(self._column_width, NARROW_EMS * self.size_px) if narrow else self._column_width
        return WordCache(font, size_px, width, shapes=self.shapes)

    def _add_ink(self, ink: int) -> int:
        """Index of a row of pixels of this ink, or of the next level that is drawn, as long as the page."""
        levels = self.shapes.bitmaps.levels
        drawn = max(round(ink * levels / FULL_INK), 1) * FULL_INK // levels
        return self.shapes.bitmaps.add_ink(np.full((1, self._longest), drawn, np.uint8))
