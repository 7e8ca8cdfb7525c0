"""Strips to pages: one below another, column after column."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.growing import Ints
from deepsynth_render.page.layout import Layout
from deepsynth_render.page.strips import Bar, Strip


@dataclass(frozen=True)
class PlacedBar:
    """A bar in pixels of its page."""

    page: int
    bar: Bar


@dataclass
class Placed:
    """starts: of the pages' texts in the source."""

    starts: list[int] = field(default_factory=list)
    rows: list[Ints] = field(default_factory=list)
    x: list[Ints] = field(default_factory=list)
    page: list[int] = field(default_factory=list)  # of each part
    baseline: list[int] = field(default_factory=list)  # of each part
    bars: list[PlacedBar] = field(default_factory=list)

    def build_layout(self, geometry: Geometry) -> tuple[Layout, Ints]:
        """The layout, whose rows are pixels, and the pieces' rows of the shapes."""
        counts = [len(rows) for rows in self.rows]
        rows = np.concatenate(self.rows)
        layout = Layout(
            geometry=geometry.measure_in_pixels(),
            pieces=np.arange(len(rows)),
            x=np.concatenate(self.x),
            page=np.repeat(self.page, counts),
            row=np.repeat(self.baseline, counts),
            page_starts=np.array(self.starts),
        )
        return layout, rows


def place_strips(strips: Sequence[Strip], geometry: Geometry, text_height: int) -> Placed:
    """text_height: of a column, in pixels; a taller strip has one of its own. Strips without ink begin no column."""
    placed = Placed()
    column, y = 0, 0  # index over all pages, pixels below the top of the text
    columns = len(geometry.column_lefts)
    top = geometry.text_top
    for index, strip in enumerate(strips):
        if y == 0 and not strip.inked:
            continue
        if y and y + strip.space + _measure_group(strips, index, text_height) > text_height:
            column, y = column + 1, 0
            if not strip.inked:
                continue
        y += strip.space if y else 0
        page, left = column // columns, geometry.column_lefts[column % columns]
        if page == len(placed.starts):
            placed.starts.append(strip.start if page else 0)
        for part in strip.parts:
            placed.rows.append(part.rows)
            placed.x.append(part.x + left * 64)
            placed.page.append(page)
            placed.baseline.append(top + y + part.baseline)
        for bar in strip.bars:
            # A bar that begins above its strip belongs to the space there, which a new column does not have.
            first = max(bar.top + y, 0)
            moved = bar._replace(left=bar.left + left, top=top + first, height=bar.height - (first - bar.top - y))
            placed.bars.append(PlacedBar(page, moved))
        y += strip.height
    return placed


def _measure_group(strips: Sequence[Strip], index: int, limit: int) -> int:
    """Height of a strip and of those that must follow it in the same column; of itself alone if that is too much."""
    height, end = strips[index].height, index
    while strips[end].keeps and end + 1 < len(strips) and height <= limit:
        end += 1
        height += strips[end].space + strips[end].height
    return height if height <= limit else strips[index].height
