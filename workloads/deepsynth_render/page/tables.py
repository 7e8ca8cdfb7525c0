"""Tables as frames: how wide each column is, and a strip for each row.

+------+-------------+
| name | what it is  |   PADDING_EMS on both sides of a cell
+------+-------------+
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from deepsynth_render.page.faces import GREY, Faces
from deepsynth_render.page.markdown.blocks import Block
from deepsynth_render.page.paragraphs import (
    Pieces,
    SetLines,
    build_part,
    draw_signs,
    set_content,
    set_lines,
)
from deepsynth_render.page.strips import Bar, Strip

_PADDING_EMS: Final = 0.4
_MIN_CELL_EMS: Final = 4
"""A table whose columns would be narrower than that, though their text is wider, is drawn as source."""
_ENDLESS: Final = 1 << 40


def set_table(block: Block, faces: Faces, width: int, max_height: int, characters: str) -> list[Strip] | None:
    """The rows of a table, `width` pixels wide at most; None if its frame does not fit, or a row is higher than that.

    max_height: in pixels. The first column is the right one if the first cell runs from right to left.
    """
    size = faces.size_px
    if _compute_room(len(block.rows[0].cells), width, size) < 0:  # before thousands of cells are shaped
        return None
    cells = [[set_content(cell, faces, size, characters, _ENDLESS) for cell in row.cells] for row in block.rows]
    columns = list(zip(*cells, strict=True))
    frame = _build_frame(columns, width, size, runs_left=cells[0][0].runs_left)
    if frame is None:
        return None
    strips: list[Strip] = []
    for row, shaped in zip(block.rows, cells, strict=True):
        found = []
        for content, pieces, pixels, alignment in zip(row.cells, shaped, frame.widths, block.alignments, strict=True):
            limit = pixels * 64
            fitting = pieces if pieces.widest <= limit else set_content(content, faces, size, characters, limit)
            lines = set_lines(fitting, faces, faces.measure(size), limit, alignment=alignment)
            found.append(lines)
        strip = _build_row(row.start, found, frame, faces.measure(size).pitch, size)
        if strip.height > max_height:
            return None
        strip.space = -1 if strips else 0  # the frames of two rows share a line
        strips.append(strip)
    strips[0].keeps = True
    return strips


class _Frame(NamedTuple):
    """In pixels. lefts, widths: of the text of each column. edges: x of the vertical lines, of which the first and last
    one are the ends of the horizontal ones.
    """

    lefts: list[int]
    widths: list[int]
    edges: list[int]


def _build_frame(columns: Sequence[Sequence[Pieces]], width: int, size: int, *, runs_left: bool) -> _Frame | None:
    padding = _compute_padding(size)
    widths = share_width(
        [max(pieces.natural_width for pieces in column) for column in columns],
        [max(pieces.widest for pieces in column) for column in columns],
        _compute_room(len(columns), width, size) * 64,
        _MIN_CELL_EMS * size * 64,
    )
    if widths is None:
        return None
    pixels = [-(-column // 64) for column in widths]
    steps = [column + 2 * padding + 1 for column in pixels]
    edges = list(accumulate(steps, initial=0))  # (columns + 1,)
    if runs_left:
        edges = [width - 1 - edge for edge in edges]
    inner = edges[1:] if runs_left else edges
    lefts = [edge + padding + 1 for edge in inner[: len(columns)]]
    return _Frame(lefts, pixels, sorted(edges))


def _compute_padding(size: int) -> int:
    return max(round(_PADDING_EMS * size), 2)


def _compute_room(columns: int, width: int, size: int) -> int:
    """The pixels that a frame of `columns` columns leaves to their texts."""
    return width - 1 - columns * (2 * _compute_padding(size) + 1)


def share_width(natural: Sequence[int], widest: Sequence[int], available: int, minimum: int) -> list[int] | None:
    """The width of each column of a table, all in 1/64 px; None if they do not fit.

    natural: of each column with its texts on one line. widest: word of each. A column has at least the width of its
    widest word if that fits, else at least `minimum`; what remains is shared in proportion to what each still lacks.
    """
    if sum(natural) <= available:
        return list(natural)
    needed = [min(width, word) for width, word in zip(natural, widest, strict=True)]
    if sum(needed) > available:
        needed = [min(width, minimum) for width in needed]
    spare = available - sum(needed)
    if spare < 0:
        return None
    lacking = [width - least for width, least in zip(natural, needed, strict=True)]
    total = max(sum(lacking), 1)
    return [least + spare * lack // total for least, lack in zip(needed, lacking, strict=True)]


def _build_row(start: int, cells: Sequence[SetLines], frame: _Frame, pitch: int, size: int) -> Strip:
    padding = max(size // 6, 2)
    pitch = max([pitch, *(cell.metrics.pitch for cell in cells)])
    height = max(len(cell.inked) for cell in cells) * pitch + 2 * padding
    strip = Strip(start, height)
    for cell, left in zip(cells, frame.lefts, strict=True):
        for line in range(len(cell.inked)):
            top = padding + line * pitch
            strip.parts.append(build_part(cell, line, left * 64, top))
            strip.bars += draw_signs(cell, line, left * 64, top)
    first, last = frame.edges[0], frame.edges[-1]
    strip.bars += [Bar(first, y, last - first + 1, 1, GREY) for y in (0, height - 1)]
    strip.bars += [Bar(edge, 0, 1, height, GREY) for edge in frame.edges]
    return strip
