r"""Line breaking: pieces fill a line until the next one does not fit. Arithmetic on arrays, no glyphs.

The text "The quick well-known", a line feed, "fox":

pieces      The|quick|well-|known|\n|fox       6 pieces, of which one is a line feed
lines       The quick well-                    starts 0, ends 3
            known                              starts 3, ends 4, closing (it ends a paragraph)
            fox                                starts 5, ends 6, closing
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.compiled.loading import IS_BUILT, core
from deepsynth_render.page.growing import Ints, expand_ranges
from deepsynth_render.page.words import ABOVE, ADVANCE, BELOW, GAP, GLYPHS, INKED, SPACE


@dataclass(frozen=True)
class Lines:
    """The lines of a document. Each array is (lines,): first piece, piece after the last, whether a paragraph ends.

    indents: how far each line begins after the edge where reading starts, in 1/64 px; None for 0.
    """

    starts: Ints
    ends: Ints
    closing: NDArray[np.bool_]
    indents: Ints | None = None

    def select(self, mask: NDArray[np.bool_]) -> "Lines":
        """Only the lines where mask is true."""
        indents = None if self.indents is None else self.indents[mask]
        return Lines(self.starts[mask], self.ends[mask], self.closing[mask], indents)


def compute_edges(pieces: Ints) -> tuple[Ints, Ints]:
    """(pieces,) left and right edge of each piece in 1/64 px, as if the document were one endless line."""
    right = np.cumsum(pieces[:, ADVANCE] + pieces[:, SPACE]) - pieces[:, SPACE]
    return right - pieces[:, ADVANCE], right


def break_lines(pieces: Ints, is_line_feed: NDArray[np.bool_], width: int, glued: Ints | None = None) -> Lines:
    """Fill lines of at most `width`, in 1/64 px. Spaces at a break are on no line: they hang in the margin.

    pieces: (pieces, 7). is_line_feed: (pieces,). glued: (pieces,) 1 where no line may break after a piece, unless the
    pieces that are glued together are wider than a line.
    """
    if IS_BUILT:
        lines = np.frombuffer(core.break_lines(pieces, is_line_feed, width, glued), np.int64).reshape(-1, 3)
        return Lines(lines[:, 0], lines[:, 1], lines[:, 2] == 1)
    return break_in_python(pieces, is_line_feed, width, glued)


def break_in_python(pieces: Ints, is_line_feed: NDArray[np.bool_], width: int, glued: Ints | None) -> Lines:
    """The same as core.break_lines."""
    left, right = compute_edges(pieces)
    edges = _Edges(
        left.tolist(), right.tolist(), (pieces[:, GLYPHS] == 0).tolist(), None if glued is None else glued.tolist()
    )
    feeds = np.flatnonzero(is_line_feed).tolist()
    lines = [
        line
        for start, end in zip([0, *(feed + 1 for feed in feeds)], [*feeds, len(pieces)], strict=True)
        for line in _break_paragraph(start, end, edges, width)
    ]
    starts, ends, closing = zip(*lines, strict=True)
    return Lines(np.array(starts), np.array(ends), np.array(closing))


class _Edges(NamedTuple):
    """(pieces,) each. Lists, because the loop below reads single values, which is slow on arrays."""

    left: list[int]
    right: list[int]
    empty: list[bool]
    glued: list[int] | None


def _break_paragraph(start: int, end: int, edges: _Edges, width: int) -> Iterator[tuple[int, int, bool]]:
    """Yield first piece, piece after the last, and whether the paragraph ends, for the lines of pieces[start:end]."""
    while True:
        # No piece is wider than a line, so each line takes at least one.
        stop = bisect_right(edges.right, edges.left[start] + width, start, end)
        if edges.glued and stop < end:
            stop = _step_back(start, stop, edges.glued)
        yield start, stop, stop == end
        if stop == end:
            return
        start = stop
        while edges.empty[start] and start + 1 < end:
            start += 1


def _step_back(start: int, stop: int, glued: list[int]) -> int:
    """The last place, after start, where a line may break."""
    place = stop
    while place > start and glued[place - 1]:
        place -= 1
    return place if place > start else stop


def is_inked(lines: Lines, pieces: Ints) -> NDArray[np.bool_]:
    """(lines,) whether anything is drawn on a line."""
    inked = np.append(0, np.cumsum(pieces[:, INKED]))  # (pieces + 1,) inked pieces before each piece
    return np.asarray(inked[lines.ends] > inked[lines.starts])


def find_pitch(lines: Lines, extents: Ints) -> int:
    """The distance between baselines, in pixels, that leaves a row of white between all lines. extents: (pieces, 2)."""
    above, below = (np.append(extents[:, side], 0) for side in (ABOVE, BELOW))
    bounds = np.column_stack([lines.starts, lines.ends]).ravel()  # every second range is a line
    high, low = (np.maximum.reduceat(side, bounds)[::2] for side in (above, below))  # (lines,)
    empty = lines.starts == lines.ends
    high[empty] = low[empty] = 0
    return int((low[:-1] + high[1:] + 1).max(initial=0, where=(low[:-1] > 0) | (high[1:] > 0)))


def compute_stretch(lines: Lines, pieces: Ints, width: int | Ints) -> Ints:
    """(n,) how far each piece on a line moves to the right so that its line ends flush, in 1/64 px.

        |  The quick fox      |   slack 6, gaps 2 (between the first and the last inked piece)
        |  The   quick   fox  |   "quick" moves by 3, "fox" by 6; the indentation stays

    The last line of a paragraph is not stretched. width: of all lines, or
    (lines,) of each. lines: with and without ink; n is the number of pieces on them.
    """
    left, right = compute_edges(pieces)  # (pieces,)
    spaces = np.append(0, np.cumsum(pieces[:, GAP]))  # (pieces + 1,) gaps before each piece
    inked = np.flatnonzero(pieces[:, INKED])  # (inked pieces,)
    first = inked[np.searchsorted(inked, lines.starts).clip(max=len(inked) - 1)]  # (lines,) first inked piece
    last = inked[np.searchsorted(inked, lines.ends) - 1]  # (lines,) last inked piece
    gaps = spaces[last] - spaces[first]  # (lines,)
    flush = ~lines.closing & is_inked(lines, pieces) & (gaps > 0)  # (lines,)
    slack = np.where(flush, left[lines.starts] + width - right[last], 0)  # (lines,)
    line_of_piece = np.repeat(np.arange(len(gaps)), lines.ends - lines.starts)  # (n,)
    # (n,) gaps before each piece of its line; negative in the indentation
    before = spaces[expand_ranges(lines.starts, lines.ends - lines.starts)] - spaces[first[line_of_piece]]
    return np.asarray(slack[line_of_piece] * before.clip(0, gaps[line_of_piece]) // gaps.clip(1)[line_of_piece])
