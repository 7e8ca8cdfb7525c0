"""Strips: what no page break may cut. A line of text, a row of a table, a rule."""

from dataclasses import dataclass, field
from typing import NamedTuple

from deepsynth_render.page.growing import Ints


class Bar(NamedTuple):
    """A rectangle of ink, in pixels from the left edge of the column and the top of its strip."""

    left: int
    top: int
    width: int
    height: int
    ink: int


class Part(NamedTuple):
    """Pieces with one baseline. rows: (n,) of the shapes. x: (n,) 1/64 px from the left edge of the column.

    baseline: pixels from the top of the strip.
    """

    rows: Ints
    x: Ints
    baseline: int


@dataclass
class Strip:
    """start: where, in the source, the text of a page begins that begins with this strip. height: in pixels.

    space: above it, unless it is the first of a column. inked: whether anything of it can be seen. keeps: whether the
    next strip must not begin a column, because this one is its heading. runs_left: whether text starts at the right.
    """

    start: int
    height: int
    parts: list[Part] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    space: int = 0
    inked: bool = True
    keeps: bool = False
    runs_left: bool = False

    def move(self, pixels: int) -> None:
        """To the right."""
        self.parts = [part._replace(x=part.x + pixels * 64) for part in self.parts]
        self.bars = [bar._replace(left=bar.left + pixels) for bar in self.bars]
