r"""Words, shaped once and remembered: the cache that makes rendering fast.

A text becomes rows of integers. For the text "a well-known fox", in which "well-" and "known" are pieces of one word:

    words     a          well-known          fox
               \         /        \            |
    ranges   (1, 1)   (2, 2)               (4, 1)      first piece, number of pieces
    pieces     1        2         3           4         rows of WordCache.pieces; row 0 is the line feed
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deepsynth_api.reasons import Reason
from deepsynth_render.page.fonts import FONTS, Font
from deepsynth_render.page.glyphs import HEIGHT, MAX_INK, PHASES, TOP, BitDepth, Bitmaps, GlyphAtlas
from deepsynth_render.page.growing import GrowingRows, Ints
from deepsynth_render.page.scripts.properties import is_extending
from deepsynth_render.page.scripts.segments import HAN, NO_SPACE, RIGHT_TO_LEFT, is_split_at_spaces, split_text
from deepsynth_render.page.shaping import PLAIN, ShapedRun, Shaper, Style
from deepsynth_render.page.word_batches import (
    Batch,
    BatchShaper,
    Usual,
    Words,
    build_batch_shaper,
    build_usual,
    group_words,
)
from deepsynth_render.page.word_table import PythonTable, build_table
from deepsynth_render.reporting.dropped import RefusedDocument

if TYPE_CHECKING:
    from deepsynth_render.page.compiled.loading import core

LINE_FEED = 0
"""The row of WordCache.pieces that ends a paragraph."""

ADVANCE, SPACE, CHARS, FIRST_GLYPH, GLYPHS, INKED, GAP = range(7)
"""Columns of WordCache.pieces:

    ADVANCE, SPACE       width of the piece, and of the space after it, in 1/64 px
    CHARS                number of characters, including the space or line feed that follows
    FIRST_GLYPH, GLYPHS  the piece's rows in WordCache.glyphs: the first one, and how many
    INKED                1 if it draws something
    GAP                  1 if justified text may get wider behind it: at a space, and between Chinese characters
"""
SLOT, X, Y = range(3)
"""Columns of WordCache.glyphs: slot in the atlas; origin from the start of the piece, in 1/64 px, Y upwards."""

ABOVE, BELOW = range(2)
"""Columns of WordCache.extents: how far the ink of a piece reaches above and below the baseline, in pixels.

0 for pieces in fonts that a spec may name: they fit any line height, and where accents touch, a spec wants it so.
"""

# A line may break after a hyphen or dash between a word and a letter.
_PIECES = re.compile(r".*?\w[-\u2010\u2013\u2014]+(?=[^\W\d])|.+")

MAX_SHAPED_CHARACTERS = 4096
"""Upper limit for one call of HarfBuzz, which fails on some words of 600,000 characters. A line holds far fewer."""


BYTES_PER_GLYPH = 50
"""Of a word that is remembered, at most."""
GLYPHS_PER_PIECE = 5
"""What a piece counts for in max_glyphs at least: it takes memory of its own, however short it is."""


class Directions(NamedTuple):
    """Which pieces run from right to left, (pieces,) int64 each.

    levels, spaces: embedding level of the piece, and of the space after it (UAX 9). bases: level of its paragraph.
    glued: 1 if no line may break after the piece.
    """

    levels: Ints
    spaces: Ints
    bases: Ints
    glued: Ints


class Found(NamedTuple):
    """The pieces of a text.

    rows: (pieces,) rows of WordCache.pieces, in reading order. directions: None if all run from left to right.
    """

    rows: Ints
    directions: Directions | None


class Shapes:
    """What words are drawn with. The caches of several fonts and sizes may share it, for pages that show all of them.

    pieces: (pieces, 7) int32. glyphs: (glyphs, 3) int32. extents: (pieces, 2) int32, all 0 unless has_extents.
    max_glyphs: of words. generation: counts how often all of them were forgotten.
    """

    def __init__(self, max_glyphs: int, depth: BitDepth = 4, max_ink: int = MAX_INK) -> None:
        """max_ink: as in Bitmaps, which are not forgotten."""
        self._max_glyphs = max_glyphs
        self.bitmaps = Bitmaps(depth, max_ink)
        self.generation = 0
        self._clear()

    def make_room(self) -> None:
        """Forget all words if they have more than max_glyphs. Rows found before are invalid then."""
        if self._count_glyphs() > self._max_glyphs:
            self.generation += 1
            self._clear()

    def count_bytes(self) -> int:
        """Upper limit for the memory that words and bitmaps take, with the compiled core."""
        return BYTES_PER_GLYPH * self._count_glyphs() + self.bitmaps.count_bytes()

    def _count_glyphs(self) -> int:
        return max(self.glyphs.count, GLYPHS_PER_PIECE * self.pieces.count)

    def _clear(self) -> None:
        self.pieces = GrowingRows(7)
        self.glyphs = GrowingRows(3)
        self.extents = GrowingRows(2)
        self.has_extents = False
        self.pieces.append(0, 0, 0, 0, 0, 0, 0)
        self.extents.append(0, 0)


class WordCache:
    """Words cut into pieces, between which a line may break, in one font at one size.

    A word is the text between two spaces (two spaces in a row have an empty word between them), or a line feed. No
    piece is wider than a column.

    max_glyphs: of its own shapes. shapes: given if several caches share them.
    """

    def __init__(
        self, font: Font, size_px: int, column_width: int, max_glyphs: int = 0, shapes: Shapes | None = None
    ) -> None:
        self.shapes = shapes or Shapes(max_glyphs)
        self.atlas = GlyphAtlas(FONTS, size_px, font.style, self.shapes.bitmaps)
        self._shaper = Shaper(font.family, size_px, self.atlas, font.style)
        self._batch_shaper = build_batch_shaper(size_px, self.atlas, font.style)
        self._find_box = cache(self._measure_slot)
        self._space = self._shaper.shape(" ").advance
        self._max_advance = column_width * 64  # 1/64 px, as all below
        self._em = size_px * 64
        self._usual = build_usual(self._shaper, self._space, self._max_advance)
        self._clear()

    @property
    def pieces(self) -> GrowingRows:
        return self.shapes.pieces

    @property
    def glyphs(self) -> GrowingRows:
        return self.shapes.glyphs

    def find_pieces(self, text: str) -> Found:
        """The pieces of a normalised text.

        Raises RefusedDocument with the reason MISSING_GLYPH or OVERFLOW.
        """
        self.shapes.make_room()
        self._follow_shapes()
        if is_split_at_spaces(text):
            return Found(self._find(text.replace("\t", " ")), None)
        keys, directions = split_text(text)
        rows, counts = self.find_keys(keys)
        if directions is None:
            return Found(rows, None)
        levels, spaces, bases, glued = (np.repeat(np.array(values, np.int64), counts) for values in directions)
        is_last = np.zeros(len(rows), bool)  # (pieces,) the last piece of its key, which the space follows
        is_last[np.cumsum(counts) - 1] = True
        return Found(rows, Directions(levels, np.where(is_last, spaces, levels), bases, glued * is_last))

    def find_extents(self, rows: Ints) -> Ints | None:
        """(pieces, 2) rows of `extents` for the pieces of a text; None if all are 0."""
        return self.shapes.extents.take(rows) if self.shapes.has_extents else None

    def find_keys(self, keys: list[str]) -> tuple[Ints, Ints]:
        """(pieces,) rows of `pieces`, and (keys,) how many each key has. keys: as split_text gives them."""
        self._follow_shapes()
        rows, counts, unknown = self._words.find_words(keys)
        if unknown:
            self._find(" ".join(unknown))
            rows, counts, _ = self._words.find_words(keys)
        return np.frombuffer(rows, np.int64), np.frombuffer(counts, np.int64)

    def _follow_shapes(self) -> None:
        if self._generation != self.shapes.generation:
            self._clear()

    def _clear(self) -> None:
        self._generation = self.shapes.generation
        self._words = build_table()  # keys of split_text -> pieces
        self._words.add("\n", LINE_FEED, 1)

    def _find(self, text: str) -> Ints:
        """(pieces,) rows of `pieces`. Words are cut at single spaces, and added if they are new."""
        table, shaper = self._words, self._batch_shaper
        if shaper and self._usual and not isinstance(table, PythonTable):
            rows, unknown = self._find_usual(text, table, shaper, self._usual)
        else:
            found, unknown = table.find(text)
            rows = np.frombuffer(found, np.int64)
        if not unknown:
            return rows
        self._add_words(unknown)
        return np.frombuffer(self._words.find(text)[0], np.int64)

    def _find_usual(
        self, text: str, table: "core.WordTable", shaper: BatchShaper, usual: Usual
    ) -> tuple[Ints, list[str]]:
        """Add the new words of usual characters as _add_word does. Returns the pieces of the text, and other words."""
        first = self.pieces.count, self.glyphs.count
        try:
            found = shaper.find_usual(text, table, usual, first)
        except BaseException:
            self._clear()  # the table has words without pieces
            raise
        self.glyphs.extend_array(found.glyphs)
        self.pieces.extend_array(found.pieces)
        self._add_extents(found.extents, len(found.pieces))
        return found.rows, found.unknown

    def _add_words(self, keys: list[str]) -> None:
        """keys: as split_text gives them, perhaps several times."""
        unknown = dict.fromkeys(keys)
        if self._batch_shaper:
            for batch, words in group_words(list(unknown), self._shaper, _PIECES.findall, _read_key):
                for key in self._add_together(self._batch_shaper, batch, words):
                    del unknown[key]
        for key in unknown:
            self._add_word(key)

    def _add_together(self, shaper: BatchShaper, batch: Batch, words: Words) -> list[str]:
        """Add words as _add_word does. Returns their keys, but not of those with pieces that need its care to fit."""
        shaped = shaper.shape(words.pieces, batch)
        counts = np.array(words.counts)  # (words,)
        pieces = np.zeros((len(words.pieces), 7), np.int64)
        pieces[:, ADVANCE], pieces[:, GLYPHS], pieces[:, INKED] = shaped.advances, shaped.counts, shaped.inked
        pieces[:, CHARS] = list(map(len, words.pieces))
        pieces[:, FIRST_GLYPH] = self.glyphs.extend_array(shaped.glyphs) + np.cumsum(shaped.counts) - shaped.counts
        last = np.cumsum(counts) - 1  # (words,) the piece that the space follows, if any
        has_space = np.array(words.spaces, np.int64)  # (words,)
        pieces[:, GAP] = batch.is_cjk
        pieces[last, SPACE], pieces[last, GAP] = self._space * has_space, has_space | batch.is_cjk
        pieces[last, CHARS] += has_space
        first = self.pieces.extend_array(pieces)
        self._add_extents(shaped.extents, len(pieces))
        fits = (shaped.counts > 0) & (shaped.advances <= self._max_advance)  # (pieces,)
        if fits.all():
            self._words.add_all(words.keys, first, counts)
            return words.keys
        whole = np.logical_and.reduceat(fits, last + 1 - counts).tolist()  # (words,)
        for key, fit, end, count in zip(words.keys, whole, (last + 1).tolist(), words.counts, strict=True):
            if fit:
                self._words.add(key, first + end - count, count)
        return list(compress(words.keys, whole))

    def _add_extents(self, extents: Ints | None, count: int) -> None:
        self.shapes.has_extents |= extents is not None
        self.shapes.extents.extend_array(np.zeros((count, 2), np.int64) if extents is None else extents)

    def _add_word(self, key: str) -> None:
        word, style, has_space = _read_key(key)
        pieces = (part for piece in _PIECES.findall(word) for part in _slice(piece))
        runs = [run for piece in pieces for run in self._shape_to_fit(piece, style)] or [self._shaper.shape("")]
        is_cjk = style.script == "Hani"
        first = self.pieces.count
        for run in runs[:-1]:
            self._add_piece(run, space=0, characters=len(run.text), gap=is_cjk)
        self._add_piece(
            runs[-1],
            space=self._space if has_space else 0,
            characters=len(runs[-1].text) + has_space,
            gap=has_space or is_cjk,
        )
        self._words.add(key, first, len(runs))

    def _add_piece(self, run: ShapedRun, *, space: int, characters: int, gap: bool) -> None:
        inked = not self.atlas.blank.issuperset(slot for slot, _, _ in run.glyphs)
        first = self.glyphs.extend(run.glyphs)
        self.pieces.append(run.advance, space, characters, first, len(run.glyphs), inked, gap)
        self.shapes.extents.append(*self._measure(run) if run.fallback and inked else (0, 0))

    def _measure(self, run: ShapedRun) -> tuple[int, int]:
        self.shapes.has_extents = True
        above = below = 0
        for slot, _, y in run.glyphs:
            top, height = self._find_box(slot)
            if height:
                top += y + 32 >> 6
                above, below = max(above, top), max(below, height - top)
        return above, below

    def _measure_slot(self, slot: int) -> tuple[int, int]:
        """Top and height of a glyph's bitmap, in pixels."""
        box = self.atlas.boxes.take(np.array([slot * PHASES]))[0]
        return int(box[TOP]), int(box[HEIGHT])

    def _shape_to_fit(self, piece: str, style: Style) -> Iterator[ShapedRun]:
        """The piece, or the parts into which it is broken, anywhere between clusters, so that each fits a column."""
        run = self._shaper.shape(piece, style)
        if run.advance <= self._max_advance:
            yield run
            return
        # A part may get wider when it is shaped alone, because kerning across its ends is lost: by less than an em.
        starts = _fill(run, self._max_advance - self._em)
        for start, end in zip(starts, [*starts[1:], len(piece)], strict=True):
            part = self._shaper.shape(piece[start:end], style)
            if part.advance > self._max_advance:
                raise RefusedDocument(Reason.OVERFLOW, f"{part.text[:40]!r} is wider than a column of the page")
            yield part


def _read_key(key: str) -> tuple[str, Style, bool]:
    """The text of a key of split_text, how it is set, and whether a space follows."""
    if key.isprintable():
        return key, PLAIN, True
    right_to_left = key.startswith(RIGHT_TO_LEFT)
    word = key[right_to_left:]
    style = _STYLES.get(word[:1], PLAIN)
    if style is not PLAIN:
        word = word[1:]
    return word.removesuffix(NO_SPACE), style._replace(right_to_left=right_to_left), not word.endswith(NO_SPACE)


_STYLES = {letter: Style(script="Hani", han=han) for han, letter in HAN.items()}


def _slice(piece: str) -> Iterator[str]:
    """The piece in parts that HarfBuzz can shape. A combining mark stays with its letter, unless they are thousands."""
    start = 0
    while start < len(piece):
        end = start + MAX_SHAPED_CHARACTERS
        most = end + MAX_SHAPED_CHARACTERS
        while end < min(len(piece), most) and (is_extending(piece[end]) or piece[end - 1] == "\u200d"):
            end += 1
        yield piece[start:end]
        start = end


def _fill(run: ShapedRun, max_advance: int) -> list[int]:
    """Break a run between clusters into parts of at most max_advance; the index of each part's first character."""
    # Cluster -> where it starts: with its first glyph in reading direction, which is the last one the dict is given.
    glyphs = list(zip(run.clusters, run.edges, strict=True))
    edges = dict(glyphs if run.clusters[0] > run.clusters[-1] else reversed(glyphs))
    clusters = sorted(edges.items())
    ends = [edge for _, edge in clusters[1:]] + [run.advance]
    starts, left = [0], 0
    for (start, edge), end in zip(clusters, ends, strict=True):
        if end - left > max_advance and start > starts[-1]:
            starts.append(start)
            left = edge
    return starts
