"""Where the pieces of a line are drawn when some of its text runs from right to left (rule L2 of UAX 9)."""

import numpy as np

from deepsynth_render.page.growing import Ints, expand_ranges
from deepsynth_render.page.lines import Lines
from deepsynth_render.page.words import ADVANCE, INKED, SPACE, Directions


def place_in_both_directions(
    lines: Lines, pieces: Ints, directions: Directions, stretch: Ints | None, width: int | Ints
) -> Ints:
    """(n,) left edge of each piece on a line, in 1/64 px from the left edge of its column.

    A line is a list of pieces and the spaces between them, which are reordered together. With Hebrew as capitals:

        reading order   a _ CAR _ OWT _ b         levels 0 0 1 1 1 0 0
        drawn           a _ TWO _ RAC _ b

    Lines of paragraphs from right to left end at the right edge of the column. lines: with and without ink; n is the
    number of pieces on them. stretch: (n,) how far justification moves each piece from the start of its line.
    """
    counts = lines.ends - lines.starts  # (lines,)
    on_lines = expand_ranges(lines.starts, counts)  # (n,)
    line = np.repeat(np.arange(len(counts)), counts)  # (n,)
    is_last = np.append(line[1:] != line[:-1], True)  # (n,)
    bases = directions.bases[on_lines]
    spaces = pieces[on_lines, SPACE]
    if stretch is not None:
        spaces += np.append(np.diff(stretch), 0)
    spaces[is_last] = 0  # the space after the last piece hangs in the margin
    levels = np.where(_find_hanging(lines, pieces), bases, directions.levels[on_lines])
    items = np.column_stack([levels, np.where(is_last, bases, directions.spaces[on_lines])]).ravel()  # (2n,) levels
    widths = np.column_stack([pieces[on_lines, ADVANCE], spaces]).ravel()  # (2n,)
    order = _reorder(items, np.repeat(line, 2))  # (2n,) the items of each line from left to right
    ends = np.cumsum(widths[order])  # (2n,) as if all lines were one
    left = np.empty(len(order), np.int64)
    left[order] = ends - widths[order]
    ends_of_lines = np.append(0, ends[2 * np.cumsum(counts) - 1])  # (lines + 1,)
    slack = width - np.diff(ends_of_lines)  # (lines,)
    shift = np.where(directions.bases[lines.starts] % 2, slack, 0) - ends_of_lines[:-1]  # (lines,)
    return np.asarray(left[::2] + shift[line])


def _find_hanging(lines: Lines, pieces: Ints) -> Ints:
    """(n,) whether a piece is blank, as all pieces after it on its line are."""
    counts = lines.ends - lines.starts
    on_lines = expand_ranges(lines.starts, counts)
    inked = np.append(0, np.cumsum(pieces[:, INKED]))  # (pieces + 1,) inked pieces before each piece
    return np.asarray(inked[on_lines] == np.repeat(inked[lines.ends], counts))


def _reorder(levels: Ints, line: Ints) -> Ints:
    """(items,) the indices of the items from left to right: runs of a level or higher are reversed, the highest first.

    levels, line: (items,) embedding level, and index of the line.
    """
    order = np.arange(len(levels))
    for level in range(int(levels.max()), 0, -1):
        high = levels[order] >= level
        starts_line = np.append(True, line[1:] != line[:-1])
        # A run starts where a high item follows a low one or begins a line.
        starts = np.flatnonzero(high & (starts_line | ~np.append(False, high[:-1])))
        ends = np.flatnonzero(high & np.append(starts_line[1:] | ~high[1:], True)) + 1
        places = expand_ranges(starts, ends - starts)
        order[places] = order[np.repeat(starts + ends - 1, ends - starts) - places]
    return order
