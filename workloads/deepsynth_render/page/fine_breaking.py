r"""Line breaking that looks at each word, for tab stops, hanging indents and hyphenation.

The text "- a few\twords that", a line feed, "end":

    - a few      words     the tab ends at the next stop
      that                 hangs below the text of the first line; its indent is that of "- "
    end

Everything is in 1/64 px.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from deepsynth_render.page.growing import Ints
from deepsynth_render.page.lines import Lines
from deepsynth_render.page.words import ADVANCE, CHARS, GAP, GLYPHS, LINE_FEED, SPACE, Directions

_HANGING = re.compile(r" *(?:(?:[-*+\u2022\u2023\u25e6\u2043\u2013]|\(?\w{1,3}[.)])[ \t]+)?(?=\S)")
"""The part of a paragraph below which nothing is set: blanks, and the bullet or number of a list."""


Directed = tuple[Ints, Directions | None]
"""Rows and directions of the pieces of a text."""


class Hyphenated(NamedTuple):
    """A word in two parts. head, tail: their rows. widths: of both; the head has a hyphen.

    characters: of the head, without the hyphen, which is drawn but is not in the text.
    """

    head: int
    head_width: int
    characters: int
    tail: int
    tail_width: int


class Settings(NamedTuple):
    """tab_stop: distance of tab stops, 0 for none. hangs: whether indents hang. hyphenate: a word into its two parts at
    each place, the longest head first; None if words are not hyphenated.
    """

    tab_stop: int
    hangs: bool
    hyphenate: Callable[[str], list[Hyphenated]] | None


class Broken(NamedTuple):
    """A document with its lines. rows, pieces, directions: as before, but hyphenated words are two pieces."""

    rows: Ints
    pieces: Ints
    directions: Directions | None
    lines: Lines


@dataclass
class _Result:
    """sources: of each piece its index before. changes: (piece, column, value) of what differs from the shapes."""

    rows: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    changes: list[tuple[int, int, int]] = field(default_factory=list)
    lines: list[tuple[int, int, bool, int]] = field(default_factory=list)  # start, end, closing, indent


def break_finely(
    text: str,
    found: Directed,
    width: int,
    take_pieces: Callable[[Ints], Ints],
    settings: Settings,
) -> Broken:
    """Break a document into lines of at most `width`.

    text: normalised. found: rows and directions of its pieces. take_pieces: the columns of rows, (pieces, 7), as the
    shapes have them.
    """
    before, directions = found
    result = _Breaker(text, found, width, take_pieces(before), settings).run()
    rows = np.array(result.rows, np.int64)
    pieces = take_pieces(rows)
    for piece, column, value in result.changes:
        pieces[piece, column] = value
    sources = np.array(result.sources, np.int64)
    starts, ends, closing, indents = (np.array(values) for values in zip(*result.lines, strict=True))
    moved = Directions(*(values[sources] for values in directions)) if directions else None
    return Broken(rows, pieces, moved, Lines(starts, ends, closing, indents))


class _Breaker:
    def __init__(
        self,
        text: str,
        found: Directed,
        width: int,
        pieces: Ints,
        settings: Settings,
    ) -> None:
        rows, directions = found
        self._text = text
        self._width = width
        self._settings = settings
        self._rows = rows.tolist()
        self._advances = pieces[:, ADVANCE].tolist()
        self._spaces = pieces[:, SPACE].tolist()
        self._empty = (pieces[:, GLYPHS] == 0).tolist()
        self._ends = np.cumsum(pieces[:, CHARS]).tolist()
        self._characters = pieces[:, CHARS].tolist()
        self._glued = directions.glued.tolist() if directions else None
        self._levels = directions.levels.tolist() if directions else None
        self._result = _Result()

    def run(self) -> _Result:
        feeds = [index for index, row in enumerate(self._rows) if row == LINE_FEED]
        for start, end in zip([0, *(feed + 1 for feed in feeds)], [*feeds, len(self._rows)], strict=True):
            self._break_paragraph(start, end)
            if end < len(self._rows):
                self._append(end)
        return self._result

    def _break_paragraph(self, start: int, end: int) -> None:
        indent = self._find_indent(start, end) if self._settings.hangs else 0
        line_indent = 0
        index, cut = start, None  # cut: a hyphenated word, of which the rest begins a line
        while True:
            first = len(self._result.rows)
            index, cut, has_tab = self._fill_line(index, end, line_indent, cut)
            is_last = index == end and cut is None
            self._result.lines.append((first, len(self._result.rows), is_last or has_tab, line_indent))
            if is_last:
                return
            while cut is None and self._empty[index] and index + 1 < end:  # blanks at a break are on no line
                self._append(index)
                index += 1
            width = self._advances[index] if cut is None else cut.tail_width
            line_indent = indent if width <= self._width - indent else 0  # a very long word needs the whole line

    def _fill_line(
        self, index: int, end: int, indent: int, cut: Hyphenated | None
    ) -> tuple[int, Hyphenated | None, bool]:
        """Append the pieces of a line. Returns the next piece, the rest of a word, and whether there was a tab."""
        x, limit, has_tab = 0, self._width - indent, False
        first = len(self._result.rows)
        if cut is not None:
            self._append_tail(index, cut)
            has_tab = self._is_tab(index)
            x = cut.tail_width + self._measure_space(index, cut.tail_width + indent)
            index += 1
        while index < end:
            if x + self._advances[index] > limit and len(self._result.rows) > first:
                found = self._hyphenate(index, limit - x)
                if found is not None:
                    self._append_head(index, found)
                    return index, found, has_tab
                return self._step_back(index, first), None, has_tab
            x += self._advances[index]
            self._append(index)
            has_tab |= self._is_tab(index)
            x += self._measure_space(index, x + indent)
            index += 1
        return index, None, has_tab

    def _measure_space(self, index: int, position: int) -> int:
        """The space after a piece that ends at a position of the column. The one to a tab stop is noted."""
        if not self._is_tab(index):
            return int(self._spaces[index])
        place = len(self._result.rows) - 1
        space = self._settings.tab_stop - position % self._settings.tab_stop
        self._result.changes += [(place, SPACE, space), (place, GAP, 0)]
        return space

    def _step_back(self, index: int, first: int) -> int:
        """Where the line ends: before pieces that are glued together, unless these fill it."""
        if not self._glued:
            return index
        place = index
        kept = len(self._result.rows)
        while kept > first and self._glued[place - 1]:
            place, kept = place - 1, kept - 1
        if kept == first or place == index:
            return index
        del self._result.rows[kept:], self._result.sources[kept:]
        self._result.changes = [change for change in self._result.changes if change[0] < kept]
        return place

    def _is_tab(self, index: int) -> bool:
        return self._settings.tab_stop > 0 and self._text[self._ends[index] - 1 : self._ends[index]] == "\t"

    def _find_indent(self, start: int, end: int) -> int:
        """Width of what stands before the text of a paragraph; at most half of a line."""
        first = self._ends[start] - self._characters[start]
        match = _HANGING.match(self._text, first)
        if not match or match.end() == first:
            return 0
        x, index = 0, start
        while index < end and self._ends[index] <= match.end():
            x += self._advances[index]
            stop = self._settings.tab_stop
            x += stop - x % stop if self._is_tab(index) else self._spaces[index]
            index += 1
        return min(x, self._width // 2) if index < end else 0

    def _hyphenate(self, index: int, room: int) -> Hyphenated | None:
        hyphenate = self._settings.hyphenate
        is_joined = index > 0 and self._glued and self._glued[index - 1]
        if hyphenate is None or is_joined or (self._levels and self._levels[index] % 2):
            return None
        end = self._ends[index]
        word = self._text[end - self._characters[index] : end].rstrip(" \t\n")
        return next((parts for parts in hyphenate(word) if parts.head_width <= room), None)

    def _append(self, index: int) -> None:
        self._result.rows.append(self._rows[index])
        self._result.sources.append(index)

    def _append_head(self, index: int, parts: Hyphenated) -> None:
        place = len(self._result.rows)
        self._result.rows.append(parts.head)
        self._result.sources.append(index)
        self._result.changes += [(place, CHARS, parts.characters), (place, SPACE, 0), (place, GAP, 0)]

    def _append_tail(self, index: int, parts: Hyphenated) -> None:
        place = len(self._result.rows)
        self._result.rows.append(parts.tail)
        self._result.sources.append(index)
        self._result.changes += [
            (place, CHARS, self._characters[index] - parts.characters),
            (place, SPACE, self._spaces[index]),
            (place, GAP, int(self._spaces[index] > 0)),
        ]
