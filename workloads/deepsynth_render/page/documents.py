"""A document that is shaped and ready to be placed on pages: plain text, or blocks of Markdown.

It can be placed several times, with columns of different height.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from deepsynth_api.reasons import Reason
from deepsynth_render.page.faces import Faces
from deepsynth_render.page.fine_breaking import Broken, Settings, break_finely
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.growing import Ints
from deepsynth_render.page.layout import Layout, lay_out
from deepsynth_render.page.paging import place_strips
from deepsynth_render.page.structured import PageBars, build_bars, set_markdown
from deepsynth_render.page.words import INKED, LINE_FEED, WordCache
from deepsynth_render.reporting.dropped import RefusedDocument


class LaidOut(NamedTuple):
    """rows: (pieces,) rows of words.pieces. pieces: (pieces, 7) their columns; those of a hyphenated word differ.

    build_bars: gives for each page the bitmaps that belong to no glyph.
    """

    layout: Layout
    rows: Ints
    pieces: Ints
    words: WordCache
    build_bars: Callable[[], PageBars] | None = None

    @property
    def pages(self) -> int:
        return len(self.layout.page_starts)

    def find_last_baselines(self) -> Ints:
        """(pages,) baseline of the last line of each page, in pixels."""
        geometry, baselines = self.layout.geometry, np.zeros(self.pages, np.int64)
        np.maximum.at(baselines, self.layout.page, geometry.first_baseline + self.layout.row * geometry.line_pitch)
        return baselines


class Document(Protocol):
    def lay_out(self, lines: int | None = None) -> LaidOut:
        """lines: height of a column, in lines of the body; by default that of spec.page."""


class PlainDocument:
    """Raises RefusedDocument if the text, which is normalised, has no visible character.

    fine: given if lines are broken with tab stops, hanging indents or hyphens.
    """

    def __init__(
        self, text: str, words: WordCache, geometry: Geometry, *, justify: bool, fine: Settings | None = None
    ) -> None:
        self._words = words
        self._geometry = geometry
        self._justify = justify
        self._rows, self._directions = words.find_pieces(text)  # rows: (pieces,)
        self._pieces = words.pieces.take(self._rows)  # (pieces, 7)
        if not self._pieces[:, INKED].any():
            raise RefusedDocument(Reason.EMPTY_DOCUMENT, "the text has no visible character")
        self._broken: Broken | None = None
        if fine:
            found = self._rows, self._directions
            self._broken = break_finely(text, found, geometry.column_width * 64, words.pieces.take, fine)
            self._rows, self._pieces, self._directions, _ = self._broken

    def lay_out(self, lines: int | None = None) -> LaidOut:
        layout = lay_out(
            self._pieces,
            self._rows == LINE_FEED,
            self._geometry if lines is None else self._geometry.limit(lines),
            justify=self._justify,
            directions=self._directions,
            extents=self._words.find_extents(self._rows),
            lines=self._broken and self._broken.lines,
        )
        return LaidOut(layout, self._rows, self._pieces, self._words)


class MarkdownDocument:
    """Raises RefusedDocument as set_markdown does."""

    def __init__(self, text: str, faces: Faces, geometry: Geometry, *, justify: bool, max_pages: int) -> None:
        self._faces = faces
        self._strips, self._geometry = set_markdown(text, faces, geometry, justify=justify, max_pages=max_pages)

    def lay_out(self, lines: int | None = None) -> LaidOut:
        geometry, faces = self._geometry, self._faces
        height = geometry.text_height if lines is None else min(lines * geometry.line_pitch, geometry.text_height)
        placed = place_strips(self._strips, geometry, height)
        layout, rows = placed.build_layout(geometry)
        return LaidOut(layout, rows, faces.shapes.pieces.take(rows), faces.body, lambda: build_bars(placed, faces))
