"""Line breaking: pieces fill a line until the next one does not fit. Arithmetic on arrays, no glyphs."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.growing import Ints, expand_ranges
from deepsynth_render.page.words import ADVANCE, GLYPHS, INKED, SPACE


@dataclass(frozen=True)
class Lines:
    """The lines of a document, (lines,) each: first piece, piece after the last, whether it ends a paragraph."""

    starts: Ints
    ends: Ints
    closing: NDArray[np.bool_]

    def select(self, mask: NDArray[np.bool_]) -> "Lines":
        """Only the lines where mask is true."""
        return Lines(self.starts[mask], self.ends[mask], self.closing[mask])


def compute_edges(pieces: Ints) -> tuple[Ints, Ints]:
    """Left and right edge of each piece, 1/64 px, were the document one endless line."""
    right = np.cumsum(pieces[:, ADVANCE] + pieces[:, SPACE]) - pieces[:, SPACE]
    return right - pieces[:, ADVANCE], right


def break_lines(pieces: Ints, is_line_feed: NDArray[np.bool_], width: int) -> Lines:
    """Fill lines of at most width, 1/64 px. Spaces at a break stand on no line: they hang in the margin."""
    left, right = compute_edges(pieces)
    edges = _Edges(left.tolist(), right.tolist(), (pieces[:, GLYPHS] == 0).tolist())
    feeds = np.flatnonzero(is_line_feed).tolist()
    lines = [
        line
        for start, end in zip([0, *(feed + 1 for feed in feeds)], [*feeds, len(pieces)], strict=True)
        for line in _break_paragraph(start, end, edges, width)
    ]
    starts, ends, closing = zip(*lines, strict=True)
    return Lines(np.array(starts), np.array(ends), np.array(closing))


class _Edges(NamedTuple):
    """Of each piece, as lists: the loop below reads single values."""

    left: list[int]
    right: list[int]
    empty: list[bool]


def _break_paragraph(start: int, end: int, edges: _Edges, width: int) -> Iterator[tuple[int, int, bool]]:
    """Yield first piece, piece after the last, and whether the paragraph ends, for the lines of pieces[start:end]."""
    while True:
        # No piece is wider than the line, so each line takes at least one.
        stop = bisect_right(edges.right, edges.left[start] + width, start, end)
        yield start, stop, stop == end
        if stop == end:
            return
        start = stop
        while edges.empty[start] and start + 1 < end:
            start += 1


def is_inked(lines: Lines, pieces: Ints) -> NDArray[np.bool_]:
    """(lines,) whether a line draws anything."""
    inked = np.append(0, np.cumsum(pieces[:, INKED]))
    return np.asarray(inked[lines.ends] > inked[lines.starts])


def compute_stretch(lines: Lines, pieces: Ints, width: int) -> Ints:
    """(pieces on the lines,) how far right each moves for the lines to end flush, 1/64 px.

    lines: inked ones and empty ones. The last line of a paragraph stays as it is, and so does its indentation.
    """
    left, right = compute_edges(pieces)
    spaces = np.append(0, np.cumsum(pieces[:, SPACE] > 0))  # before each piece
    inked = np.flatnonzero(pieces[:, INKED])
    first = inked[np.searchsorted(inked, lines.starts).clip(max=len(inked) - 1)]
    last = inked[np.searchsorted(inked, lines.ends) - 1]
    gaps = spaces[last] - spaces[first]
    flush = ~lines.closing & is_inked(lines, pieces) & (gaps > 0)
    slack = np.where(flush, left[lines.starts] + width - right[last], 0)
    line_of_piece = np.repeat(np.arange(len(gaps)), lines.ends - lines.starts)
    before = spaces[expand_ranges(lines.starts, lines.ends - lines.starts)] - spaces[first[line_of_piece]]
    return np.asarray(slack[line_of_piece] * before.clip(0, gaps[line_of_piece]) // gaps.clip(1)[line_of_piece])
