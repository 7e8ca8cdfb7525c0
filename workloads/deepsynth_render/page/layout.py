"""Pages: lines are set in columns, one below another, which gives every piece its place. No glyphs, no pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.growing import Ints, expand_ranges
from deepsynth_render.page.lines import Lines, break_lines, compute_edges, compute_stretch, find_pitch, is_inked
from deepsynth_render.page.reordering import place_in_both_directions
from deepsynth_render.page.words import CHARS, Directions

HANGING = -1
"""Place of an empty line at the top of a column: it takes no room, and its text belongs to the page before."""


@dataclass(frozen=True)
class Layout:
    """Where the pieces of a document are drawn.

    geometry: that of spec.page, with a wider line pitch if tall letters need it.
    pieces: (n,) indices into the document's pieces, in reading order; only those that are on a line.
    x: (n,) left edges in 1/64 px. page, row: (n,) index of the page, and of the line within its column.
    page_starts: (pages,) offset in the text of each page's first character; the first is 0.
    """

    geometry: Geometry
    pieces: Ints
    x: Ints
    page: Ints
    row: Ints
    page_starts: Ints


def lay_out(
    pieces: Ints,
    is_line_feed: NDArray[np.bool_],
    geometry: Geometry,
    *,
    justify: bool,
    directions: Directions | None = None,
    extents: Ints | None = None,
    lines: Lines | None = None,
) -> Layout:
    """Set a document on pages. At least one of its pieces must have ink.

    pieces: (pieces, 7), the document's rows of WordCache.pieces. is_line_feed: (pieces,) bool.
    directions: given if some text runs from right to left; the lines of such paragraphs start at the right edge. If
        they are most of the text, the right column is the first one.
    extents: (pieces, 2), the rows of WordCache.extents: the line pitch grows until no line touches the next one.
    lines: given if they are already broken.
    """
    width = geometry.column_width * 64  # 1/64 px
    lines = lines or break_lines(pieces, is_line_feed, width, directions and directions.glued)  # arrays (lines,)
    if extents is not None:
        geometry = geometry.widen(find_pitch(lines, extents))
    if directions and 2 * int(directions.bases.sum()) > len(pieces):
        geometry = geometry.mirror()
    places = _find_places(is_inked(lines, pieces), geometry.lines_per_column)  # (lines,)
    lines, places = lines.select(places != HANGING), places[places != HANGING]
    counts = lines.ends - lines.starts  # (lines,) number of pieces
    on_lines = expand_ranges(lines.starts, counts)  # (n,) indices of pieces; n = sum of counts
    columns = np.repeat(_find_column_lefts(places, geometry) * 64, counts)  # (n,) left edge of each piece's column
    return Layout(
        geometry=geometry,
        pieces=on_lines,
        x=columns + find_lefts(lines, pieces, width, justify=justify, directions=directions),
        page=np.repeat(places // geometry.lines_per_page, counts),
        row=np.repeat(places % geometry.lines_per_column, counts),
        page_starts=_find_page_starts(lines, places // geometry.lines_per_page, pieces),
    )


def find_lefts(lines: Lines, pieces: Ints, width: int, *, justify: bool, directions: Directions | None) -> Ints:
    """(n,) left edge of each piece on a line, in 1/64 px from the left edge of its column. n: pieces on lines."""
    counts = lines.ends - lines.starts  # (lines,)
    widths = width if lines.indents is None else width - lines.indents
    stretch = compute_stretch(lines, pieces, widths) if justify else None  # (n,)
    if directions:
        x = place_in_both_directions(lines, pieces, directions, stretch, widths)
        if lines.indents is None:
            return x
        # Lines from right to left already end before their indent.
        return np.asarray(x + np.repeat(np.where(_run_left(lines, directions), 0, lines.indents), counts))
    left, _ = compute_edges(pieces)  # (pieces,) as if the document were one line
    x = left[expand_ranges(lines.starts, counts)] - np.repeat(left[lines.starts], counts)
    if stretch is not None:
        x += stretch
    return np.asarray(x if lines.indents is None else x + np.repeat(lines.indents, counts))


def _run_left(lines: Lines, directions: Directions) -> NDArray[np.bool_]:
    """(lines,) whether each line is of a paragraph from right to left."""
    return np.asarray(directions.bases[lines.starts.clip(max=len(directions.bases) - 1)] % 2 == 1)


def _find_places(inked: NDArray[np.bool_], lines_per_column: int) -> Ints:
    """(lines,) index of each line, counted over all columns and pages, or HANGING.

    With 2 lines per column and 2 columns per page:

        page 0:  0   2     page 1:  4   6        place // lines_per_page           -> page
                 1   3              5   7        place // lines_per_column % 2     -> column
                                                 place % lines_per_column          -> line in its column
    """
    if inked.all():
        return np.arange(len(inked))
    places = np.full(len(inked), HANGING)
    place = 0
    for line, draws in enumerate(inked.tolist()):
        if draws or place % lines_per_column:
            places[line] = place
            place += 1
    return places


def _find_column_lefts(places: Ints, geometry: Geometry) -> Ints:
    """(lines,) in pixels."""
    columns = places // geometry.lines_per_column % len(geometry.column_lefts)
    return np.array(geometry.column_lefts)[columns]


def _find_page_starts(lines: Lines, page: Ints, pieces: Ints) -> Ints:
    """(pages,) offset in the text of each page's first character. page: (lines,) index of each line's page."""
    characters = np.cumsum(pieces[:, CHARS]) - pieces[:, CHARS]  # (pieces,) characters before each piece
    first_lines = np.searchsorted(page, np.arange(page[-1] + 1))  # (pages,)
    starts = characters[lines.starts[first_lines]]  # (pages,)
    starts[0] = 0  # empty lines before the first line belong to the first page
    return np.asarray(starts)
