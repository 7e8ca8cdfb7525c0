"""New words shaped together: those that one font draws whole, in one script and one direction.

HarfBuzz takes a microsecond for a word; the rest of what a word costs is Python objects, one for each glyph. So the
compiled core calls HarfBuzz for many words, and arrays hold the result. Words of usual characters, which most words are
in most languages of the Latin script, do not even become pieces in Python.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.compiled.loading import IS_BUILT, core
from deepsynth_render.page.fonts import FONTS, KERNS_NEIGHBOURS, Font, FontStyle, load_font
from deepsynth_render.page.glyphs import HEIGHT, PHASES, TOP, GlyphAtlas
from deepsynth_render.page.growing import Ints, Ints32
from deepsynth_render.page.shaping import PLAIN, Shaper, Style, is_fallback

_MAX_CHARACTERS = 1000
_DASHES = "-\u2010\u2013\u2014"
_GLYPHS = 4
"""The column of WordCache.pieces."""
_USUAL_KIND, _DASH, _WORD, _LETTER = 1, 2, 4, 8
USUAL = "\x21-\x7e\u00a0-\u00ac\u00ae-\u024f\u2010-\u2026\u2030-\u203a\u20ac"
"""Characters of the Latin script or of none, as the inside of a regular expression; dashes are among them."""


class Batch(NamedTuple):
    """What words that are shaped together have in common. font: index in FONTS. is_cjk: a gap follows each piece."""

    font: int
    script: str
    right_to_left: bool = False
    is_cjk: bool = False


class Words(NamedTuple):
    """The keys of a batch, the pieces of all of them, (keys,) how many pieces each has, and whether a space follows."""

    keys: list[str]
    pieces: list[str]
    counts: list[int]
    spaces: list[bool]

    def add(self, key: str, pieces: list[str], *, has_space: bool) -> None:
        self.keys.append(key)
        self.pieces.extend(pieces)
        self.counts.append(len(pieces))
        self.spaces.append(has_space)


class ShapedPieces(NamedTuple):
    """Pieces, and their glyphs.

    glyphs: (glyphs, 3) slot, x, y, as WordCache.glyphs. counts: (pieces,) glyphs of each, 0 if the font lacks one.
    advances: (pieces,) in 1/64 px. inked: (pieces,) whether a piece draws anything. extents: (pieces, 2) as
    WordCache.extents, None if all are 0.
    """

    glyphs: Ints
    counts: Ints
    advances: Ints
    inked: NDArray[np.bool_]
    extents: Ints | None


class UsualWords(NamedTuple):
    """Words that were set without a closer look, while a text was looked up. A space follows each.

    rows: (pieces of the text,), without those of unknown words. unknown: words that need a closer look.
    pieces: (pieces, 7), glyphs: (glyphs, 3), extents: (pieces, 2) or None: of new words, as WordCache has them.
    """

    rows: Ints
    unknown: list[str]
    pieces: Ints32
    glyphs: Ints32
    extents: Ints | None


class BatchShaper:
    """Shapes pieces of words, each batch in one call."""

    def __init__(self, library: str, size_px: int, atlas: GlyphAtlas, style: FontStyle) -> None:
        self._atlas = atlas
        self._open = cache(lambda font: _FontShaper(library, load_font(FONTS[font], style), font, size_px, atlas))

    def shape(self, pieces: list[str], batch: Batch) -> ShapedPieces:
        """pieces: of at least one character each."""
        glyphs, counts, advances, inked = self._open(batch.font).shape(pieces, batch)
        extents = self._measure(glyphs, counts) if is_fallback(batch.font) else None
        return ShapedPieces(glyphs, counts, advances, inked, extents)

    def find_usual(self, text: str, table: "core.WordTable", usual: "Usual", first: tuple[int, int]) -> UsualWords:
        """Look up the words of a text; new ones that are usual are added to the table.

        first: rows of the first new piece and of its first glyph. If this fails, the table has words without pieces.
        """
        (rows, unknown), set_pieces, set_glyphs = self._open(usual.font).find_usual(text, table, usual, first)
        pieces = np.frombuffer(set_pieces, np.int32).reshape(-1, 7)
        glyphs = np.frombuffer(set_glyphs, np.int32).reshape(-1, 3)
        extents = None
        if is_fallback(usual.font):
            extents = self._measure(glyphs.astype(np.int64), pieces[:, _GLYPHS].astype(np.int64))
        return UsualWords(np.frombuffer(rows, np.int64), unknown, pieces, glyphs, extents)

    def _measure(self, glyphs: Ints, counts: Ints) -> Ints:
        boxes = self._atlas.boxes.take(glyphs[:, 0] * PHASES)  # (glyphs, 5)
        heights = boxes[:, HEIGHT]
        tops = np.where(heights > 0, boxes[:, TOP] + (glyphs[:, 2] + 32 >> 6), 0)
        bottoms = np.where(heights > 0, heights - tops, 0)
        extents = np.zeros((len(counts), 2), np.int64)
        drawn = counts > 0
        starts = (np.cumsum(counts) - counts)[drawn]
        if len(starts):
            extents[drawn] = np.column_stack([np.maximum.reduceat(side, starts) for side in (tops, bottoms)]).clip(0)
        return extents


class _FontShaper:
    """font: index in FONTS and in the atlas."""

    def __init__(self, library: str, font: Font, index: int, size_px: int, atlas: GlyphAtlas) -> None:
        variations = [f"{axis}={value}" for axis, value in font.variation.items()]
        kerns_neighbours = font.family in KERNS_NEIGHBOURS
        self._shaper = core.Shaper(library, font.data, font.face, size_px * 64, variations, kerns_neighbours)
        self._font = index
        self._atlas = atlas
        self._slots = np.full(font.glyph_count, -1, np.int32)  # twice the slot, one more if it has ink; -1: not drawn

    def find_usual(
        self, text: str, table: "core.WordTable", usual: "Usual", first: tuple[int, int]
    ) -> tuple[tuple[bytes, list[str]], bytes, bytes]:
        return self._shaper.find_usual(
            table, text, usual.script, usual.kinds, self._slots, self._draw, usual.space, usual.max_advance, *first
        )

    def shape(self, pieces: list[str], batch: Batch) -> tuple[Ints, Ints, Ints, NDArray[np.bool_]]:
        """glyphs, counts, advances, inked; see ShapedPieces."""
        found, measured = self._shaper.shape(pieces, batch.script, batch.right_to_left)
        glyphs = np.frombuffer(found, np.int64).reshape(-1, 3)  # glyph, x, y
        counts, advances = np.frombuffer(measured, np.int64).reshape(-1, 2).T  # (pieces,)
        slots = self._find_slots(glyphs[:, 0])
        inked = np.append(0, np.cumsum(slots & 1))  # (glyphs + 1,) inked glyphs before each glyph
        ends = np.cumsum(counts)  # (pieces,)
        return np.column_stack([slots >> 1, glyphs[:, 1:]]), counts, advances, inked[ends] > inked[ends - counts]

    def _find_slots(self, ids: Ints) -> Ints:
        """(glyphs,) int64, as in _slots; new glyphs are drawn."""
        slots = self._slots[ids]
        if slots.size and slots.min() < 0:
            for glyph in sorted(set(ids[slots < 0].tolist())):  # np.unique would import numpy.ma in each pod
                self._slots[glyph] = self._draw(glyph)
            slots = self._slots[ids]
        return np.asarray(slots, np.int64)

    def _draw(self, glyph: int) -> int:
        slot = self._atlas.find_slot(self._font, glyph)
        return 2 * slot + (slot not in self._atlas.blank)


def build_batch_shaper(size_px: int, atlas: GlyphAtlas, style: FontStyle) -> BatchShaper | None:
    """None where the core is not built, or uharfbuzz hides HarfBuzz."""
    if not IS_BUILT:
        return None
    import uharfbuzz._harfbuzz

    library = str(uharfbuzz._harfbuzz.__file__)  # noqa: SLF001
    try:
        core.Shaper(library, b"", 0, 1, [], False)
    except OSError:
        return None
    return BatchShaper(library, size_px, atlas, style)


class Usual(NamedTuple):
    """How words of usual characters are set. kinds: what each code point is. space: width of the space behind a word.

    max_advance: of a piece, in 1/64 px as space.
    """

    font: int
    script: str
    kinds: bytes
    space: int
    max_advance: int


def build_usual(shaper: Shaper, space: int, max_advance: int) -> Usual | None:
    """None if the font of the page lacks the letters of the Latin script."""
    single = shaper.find_single_run("a", PLAIN)
    return Usual(*single, _find_kinds(shaper.is_plain), space, max_advance) if single else None


def _find_kinds(is_plain: Callable[[str], bool]) -> bytes:
    kinds = bytearray(0x20AD)
    for character in re.findall(f"[{USUAL}]", "".join(map(chr, range(len(kinds))))):
        if is_plain(character):
            kinds[ord(character)] = (
                _USUAL_KIND
                | (_DASH if character in _DASHES else 0)
                | (_WORD if re.match(r"\w", character) else 0)
                | (_LETTER if re.match(r"[^\W\d]", character) else 0)
            )
    return bytes(kinds)


def group_words(
    keys: Iterable[str],
    shaper: Shaper,
    split: Callable[[str], list[str]],
    read_key: Callable[[str], tuple[str, Style, bool]],
) -> Iterator[tuple[Batch, Words]]:
    """The words that may be shaped together; others are skipped.

    keys: without repetitions. split: a word into its pieces. read_key: a key into its word, how it is set, and whether
    a space follows.
    """
    groups: dict[Batch, Words] = defaultdict(lambda: Words([], [], [], []))
    for key in keys:
        word, style, has_space = read_key(key)
        if not 0 < len(word) <= _MAX_CHARACTERS:
            continue
        pieces = split(word)
        run, *others = {shaper.find_single_run(piece, style) for piece in pieces}
        if run is not None and not others:
            groups[Batch(*run, style.right_to_left, style.script == "Hani")].add(key, pieces, has_space=has_space)
    yield from groups.items()
