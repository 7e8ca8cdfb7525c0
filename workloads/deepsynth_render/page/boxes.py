"""Where words and lines are on a page, for models that must point at what they read.

A box is the rectangle of whole pixels around the ink of a word or a line, as tight as the bitmaps of its glyphs:

    text     The well-known  fox           boxes of words   The | well-known | fox
             +-+ +--------+  +-+           boxes of lines   The well-known  fox
"""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

import numpy as np

from deepsynth_render.page.glyphs import HEIGHT, LEFT, TOP, WIDTH
from deepsynth_render.page.growing import Ints
from deepsynth_render.page.layout import Layout
from deepsynth_render.page.scripts.breaking import WITHOUT_SPACES
from deepsynth_render.page.words import ADVANCE, CHARS, GLYPHS

BoxKind = Literal["words", "lines"]

_FAR = 2**31


class Box(NamedTuple):
    """text: of the document. right, bottom: the first pixels behind it."""

    text: str
    left: int
    top: int
    right: int
    bottom: int


class _Piece(NamedTuple):
    """A piece on a line. text: with the space behind it. start, end: its left and right edge in 1/64 px, ink or not."""

    text: str
    page: int
    line: tuple[int, int]
    start: int
    end: int
    box: tuple[int, int, int, int]


def find_boxes(kind: BoxKind, text: str, pieces: Ints, layout: Layout, bitmaps: Sequence[Ints]) -> list[list[Box]]:
    """The boxes of each page, in reading order. What draws nothing has none.

    pieces: (pieces, 7) the document's rows of WordCache.pieces. bitmaps: of the glyphs of each page, as from
    place_bitmaps.
    """
    found: list[list[Box]] = [[] for _ in bitmaps]
    for (page, _), line in groupby(_list_pieces(text, pieces, layout, bitmaps), lambda piece: (piece.page, piece.line)):
        for group in _group_words(line) if kind == "words" else [list(line)]:
            if box := _surround(group):
                found[page].append(box)
    return found


def rotate_boxes(boxes: Sequence[Box], angle: float, width: int, height: int) -> list[Box]:
    """Boxes around the boxes of a page of this size that is rotated clockwise around its center."""
    cos, sin = math.cos(angle), math.sin(angle)

    def turn(box: Box) -> Box:
        corners = [(x - width / 2, y - height / 2) for x in (box.left, box.right) for y in (box.top, box.bottom)]
        xs = [x * cos - y * sin + width / 2 for x, y in corners]
        ys = [x * sin + y * cos + height / 2 for x, y in corners]
        return Box(
            box.text,
            max(math.floor(min(xs)), 0),
            max(math.floor(min(ys)), 0),
            min(math.ceil(max(xs)), width),
            min(math.ceil(max(ys)), height),
        )

    return [turn(box) for box in boxes] if angle else list(boxes)


def _list_pieces(text: str, pieces: Ints, layout: Layout, bitmaps: Sequence[Ints]) -> Iterator[_Piece]:
    ends = np.cumsum(pieces[:, CHARS])  # (pieces,) in the text
    texts = [text[start:end] for start, end in zip([0, *ends.tolist()], ends.tolist(), strict=False)]
    lefts = np.sort(np.array(layout.geometry.column_lefts)) * 64
    columns = np.searchsorted(lefts, layout.x, side="right")  # (n,)
    on_lines = pieces[layout.pieces]  # (n, 7)
    yield from map(
        _Piece,
        (texts[piece] for piece in layout.pieces.tolist()),
        layout.page.tolist(),
        zip(columns.tolist(), layout.row.tolist(), strict=True),
        layout.x.tolist(),
        (layout.x + on_lines[:, ADVANCE]).tolist(),
        map(tuple, _measure_ink(on_lines[:, GLYPHS], np.concatenate(bitmaps)).tolist()),
    )


def _measure_ink(counts: Ints, bitmaps: Ints) -> Ints:
    """(n, 4) left, top, right, bottom of the ink of each piece; left is _FAR where there is none.

    counts: (n,) bitmaps of each piece. bitmaps: (sum of counts, 5).
    """
    left, top = bitmaps[:, LEFT], bitmaps[:, TOP]
    edges = np.column_stack([left, top, -left - bitmaps[:, WIDTH], -top - bitmaps[:, HEIGHT]])
    edges[bitmaps[:, WIDTH] * bitmaps[:, HEIGHT] == 0] = _FAR
    ink = np.full((len(counts), 4), _FAR, np.int64)
    drawn = counts > 0
    if drawn.any():
        ink[drawn] = np.minimum.reduceat(edges, (np.cumsum(counts) - counts)[drawn])
    ink[:, 2:] *= -1
    return ink


def _group_words(line: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    """The pieces of each word. Where a script sets no spaces, each piece is a word: a line may break there."""
    group: list[_Piece] = []
    for piece in line:
        if group and not _continues(group[-1], piece):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _continues(piece: _Piece, following: _Piece) -> bool:
    """Whether two pieces belong to one word: nothing is between them, in the text and on the page."""
    if not piece.text or piece.text[-1].isspace() or WITHOUT_SPACES.search(piece.text + following.text):
        return False
    return piece.end == following.start or following.end == piece.start


def _surround(group: Sequence[_Piece]) -> Box | None:
    inked = [piece.box for piece in group if piece.box[0] != _FAR]
    if not inked:
        return None
    lefts, tops, rights, bottoms = zip(*inked, strict=True)
    text = "".join(piece.text for piece in group).strip()
    return Box(text, min(lefts), min(tops), max(rights), max(bottoms))
