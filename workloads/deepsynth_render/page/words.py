"""Words, shaped once and remembered: the cache that makes rendering fast."""

import re
import unicodedata
from collections.abc import Callable, Iterator

import numpy as np

from deepsynth_api.reasons import Reason
from deepsynth_render.page.fonts import FAMILIES, Font, load_font
from deepsynth_render.page.glyphs import GlyphAtlas
from deepsynth_render.page.growing import GrowingRows, Ints, expand_ranges
from deepsynth_render.page.refusal import RefusedDocument
from deepsynth_render.page.shaping import ShapedRun, Shaper

LINE_FEED = 0
"""The row of WordCache.pieces that ends a paragraph."""

ADVANCE, SPACE, CHARS, FIRST_GLYPH, GLYPHS, INKED = range(6)
"""Columns of WordCache.pieces: advance, and the space after it, in 1/64 px; characters, counting the space or
line feed that follows; the piece's rows in WordCache.glyphs; 1 where it draws something."""
SLOT, X, Y = range(3)
"""Columns of WordCache.glyphs: slot in the atlas; origin from the start of the piece in 1/64 px, Y upwards."""

# A line may break after a hyphen or dash between a word and a letter.
_PIECES = re.compile(r".*?\w[-\u2010\u2013\u2014]+(?=[^\W\d])|.+")

_MOST_SHAPED = 4096
"""Characters shaped at once: far more than fill a line. HarfBuzz fails on some words of 600,000 characters."""


class WordCache:
    """Words cut into pieces, between which a line may break, at one font and size.

    A word is what stands between two spaces (so two spaces in a row have an empty one between them), or a line
    feed. A piece is no wider than a column. pieces: (n, 6) int64. glyphs: (n, 3) int64.
    most_glyphs: the cache starts anew when its words hold more; a glyph takes some 50 bytes all told.
    """

    def __init__(self, font: Font, size_px: int, column_width: int, most_glyphs: int) -> None:
        fonts = [font, *(load_font(family) for family in FAMILIES if family != font.family)]
        self.atlas = GlyphAtlas(fonts, size_px)
        self._shaper = Shaper(fonts, size_px, self.atlas)
        self._space = self._shaper.shape(" ").advance
        self._widest = column_width * 64
        self._em = size_px * 64
        self._most_glyphs = most_glyphs
        self._start_anew()

    def find_pieces(self, text: str) -> Ints:
        """Rows of `pieces`, in reading order. text: normalised.

        Raises RefusedDocument("MissingGlyph" or "Overflow").
        """
        if len(self.glyphs) > self._most_glyphs:
            self._start_anew()
        words = text.replace("\n", " \n ").split(" ")
        known = np.fromiter(map(self._words.__getitem__, words), np.int64, len(words))
        ranges = self._ranges.read()[known]
        return expand_ranges(ranges[:, 0], ranges[:, 1])

    def _start_anew(self) -> None:
        self._words = _Memo(self._add_word)
        self._ranges = GrowingRows(2)
        self.pieces = GrowingRows(6)
        self.glyphs = GrowingRows(3)
        self.pieces.append(0, 0, 0, 0, 0, 0)
        self._words["\n"] = self._ranges.append(LINE_FEED, 1)

    def _add_word(self, word: str) -> int:
        pieces = (part for piece in _PIECES.findall(word) for part in _slice(piece))
        runs = [run for piece in pieces for run in self._shape_to_fit(piece)] or [self._shaper.shape("")]
        first = len(self.pieces)
        for run in runs[:-1]:
            self._add_piece(run, space=0, characters=len(run.text))
        self._add_piece(runs[-1], space=self._space, characters=len(runs[-1].text) + 1)
        return self._ranges.append(first, len(runs))

    def _add_piece(self, run: ShapedRun, *, space: int, characters: int) -> None:
        inked = not self.atlas.blank.issuperset(slot for slot, _, _ in run.glyphs)
        first = self.glyphs.extend(run.glyphs)
        self.pieces.append(run.advance, space, characters, first, len(run.glyphs), inked)

    def _shape_to_fit(self, piece: str) -> Iterator[ShapedRun]:
        """The piece, or what it must be broken into, anywhere between clusters, to fit a column."""
        run = self._shaper.shape(piece)
        if run.advance <= self._widest:
            yield run
            return
        # Kerning across a break is undone by it; an em is more than it can amount to.
        starts = _fill(run, self._widest - self._em)
        for start, end in zip(starts, [*starts[1:], len(piece)], strict=True):
            part = self._shaper.shape(piece[start:end])
            if part.advance > self._widest:
                raise RefusedDocument(Reason.OVERFLOW, f"{part.text[:40]!r} is wider than a column of the page")
            yield part


class _Memo(dict[str, int]):
    """A dict that computes what it lacks."""

    def __init__(self, compute: Callable[[str], int]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, key: str) -> int:
        value = self[key] = self._compute(key)
        return value


def _slice(piece: str) -> Iterator[str]:
    """The piece in parts that HarfBuzz can shape, no combining mark without its letter."""
    start = 0
    while start < len(piece):
        end = start + _MOST_SHAPED
        while end < len(piece) and unicodedata.combining(piece[end]):
            end += 1
        yield piece[start:end]
        start = end


def _fill(run: ShapedRun, widest: int) -> list[int]:
    """First characters of the parts when a run's clusters are filled into parts of at most `widest` 1/64 px."""
    edges = {cluster: x for cluster, (_, x, _) in zip(reversed(run.clusters), reversed(run.glyphs), strict=True)}
    clusters = sorted(edges.items())
    ends = [edge for _, edge in clusters[1:]] + [run.advance]
    starts, left = [0], 0
    for (start, edge), end in zip(clusters, ends, strict=True):
        if end - left > widest and start > starts[-1]:
            starts.append(start)
            left = edge
    return starts
