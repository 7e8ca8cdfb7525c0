"""A document with a structure: its blocks are set one by one, and placed on pages."""

from collections.abc import Sequence

import numpy as np

from deepsynth_api.reasons import Reason
from deepsynth_render.page.block_setting import BlockSetter
from deepsynth_render.page.faces import Faces
from deepsynth_render.page.geometry import Geometry
from deepsynth_render.page.growing import Ints
from deepsynth_render.page.markdown.blocks import Block
from deepsynth_render.page.markdown.parsing import parse
from deepsynth_render.page.paging import Placed
from deepsynth_render.page.strips import Strip
from deepsynth_render.reporting.dropped import RefusedDocument

PageBars = list[Ints]
"""For each page the bitmaps of its bars, (bitmaps, 5), as place_bitmaps gives those of glyphs."""


def set_markdown(
    source: str, faces: Faces, geometry: Geometry, *, justify: bool, max_pages: int
) -> tuple[list[Strip], Geometry]:
    """A normalised text as strips, and where its columns are.

    Raises RefusedDocument if it has no visible character, or needs more pages than max_pages by far.
    """
    faces.shapes.make_room()
    # At least one line of a page for each: empty lines of code take no room at the top of a column, and small type in
    # narrow margins leaves room for more lines than spec.page says, but not for four times as many.
    max_lines = 4 * max_pages * geometry.lines_per_page
    blocks = parse(source, max_lines)
    _check_length(blocks, max_lines, max_pages)
    setter = BlockSetter(source, faces, geometry, justify=justify)
    strips = setter.set_blocks(blocks)
    if not setter.pieces:
        raise RefusedDocument(Reason.EMPTY_DOCUMENT, "the text has no visible character")
    return strips, geometry.mirror() if 2 * setter.pieces_to_left > setter.pieces else geometry


def build_bars(placed: Placed, faces: Faces) -> PageBars:
    """The bars of placed strips as bitmaps."""
    found: list[list[tuple[int, int, int, int, int]]] = [[] for _ in placed.starts]
    for page, (left, top, width, height, ink) in ((bar.page, bar.bar) for bar in placed.bars):
        offset = faces.find_ink(ink)
        if height > width:
            found[page] += [(offset, 1, height, left + x, top) for x in range(width)]
        else:
            found[page] += [(offset, width, 1, left, top + y) for y in range(height)]
    return [np.array(boxes, np.int64).reshape(-1, 5) for boxes in found]


def _check_length(blocks: Sequence[Block], max_lines: int, max_pages: int) -> None:
    """Refuse a document with far too many lines before they are set, which would take minutes."""
    lines = sum(max(len(block.rows), block.content.text.count("\n") + 1) for block in blocks)
    if lines > max_lines:
        raise RefusedDocument(
            Reason.TOO_MANY_PAGES, f"the text has {lines} lines, too many for {max_pages} pages (spec.page.maxPages)"
        )
