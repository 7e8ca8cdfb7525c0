"""New words shaped together: those that one font draws whole, in one script and one direction.

HarfBuzz takes a microsecond for a word; the rest of what a word costs is Python objects, one for each glyph. So the
compiled core calls HarfBuzz for many words, and arrays hold the result.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.compiled.loading import IS_BUILT, core
from deepsynth_render.page.fonts import FONTS, Font, FontStyle, load_font
from deepsynth_render.page.glyphs import HEIGHT, PHASES, TOP, GlyphAtlas
from deepsynth_render.page.growing import Ints
from deepsynth_render.page.shaping import PLAIN, Shaper, Style, is_fallback

_MAX_CHARACTERS = 1000
_DASHES = "-\u2010\u2013\u2014"
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
        self._shaper = core.Shaper(library, font.data, font.face, size_px * 64, variations)
        self._font = index
        self._atlas = atlas
        self._slots = np.zeros(0, np.int32)  # (glyphs of the font up to the last one in use,), -1: not drawn yet
        self._inked = np.zeros(0, bool)  # the same

    def shape(self, pieces: list[str], batch: Batch) -> tuple[Ints, Ints, Ints, NDArray[np.bool_]]:
        """glyphs, counts, advances, inked; see ShapedPieces."""
        found, measured = self._shaper.shape(pieces, batch.script, batch.right_to_left)
        glyphs = np.frombuffer(found, np.int64).reshape(-1, 3)  # glyph, x, y
        counts, advances = np.frombuffer(measured, np.int64).reshape(-1, 2).T  # (pieces,)
        slots = self._find_slots(glyphs[:, 0])
        inked = np.append(0, np.cumsum(self._inked[glyphs[:, 0]]))  # (glyphs + 1,) inked glyphs before each glyph
        ends = np.cumsum(counts)  # (pieces,)
        return np.column_stack([slots, glyphs[:, 1:]]), counts, advances, inked[ends] > inked[ends - counts]

    def _find_slots(self, ids: Ints) -> Ints:
        """(glyphs,) int64; new glyphs are drawn."""
        missing = int(ids.max(initial=-1)) + 1 - len(self._slots)
        if missing > 0:
            self._slots = np.append(self._slots, np.full(missing, -1, np.int32))
            self._inked = np.append(self._inked, np.zeros(missing, bool))
        slots = self._slots[ids]
        if slots.size and slots.min() < 0:
            for glyph in sorted(set(ids[slots < 0].tolist())):  # np.unique would import numpy.ma in each pod
                slot = self._slots[glyph] = self._atlas.find_slot(self._font, glyph)
                self._inked[glyph] = slot not in self._atlas.blank
            slots = self._slots[ids]
        return np.asarray(slots, np.int64)


def build_batch_shaper(size_px: int, atlas: GlyphAtlas, style: FontStyle) -> BatchShaper | None:
    """None where the core is not built, or uharfbuzz hides HarfBuzz."""
    if not IS_BUILT:
        return None
    import uharfbuzz._harfbuzz

    library = str(uharfbuzz._harfbuzz.__file__)  # noqa: SLF001
    try:
        core.Shaper(library, b"", 0, 1, [])
    except OSError:
        return None
    return BatchShaper(library, size_px, atlas, style)


class WordGrouper:
    """Finds the batches of new words.

    split: a word into its pieces. read_key: a key into its word, how it is set, and whether a space follows.
    """

    def __init__(
        self,
        shaper: Shaper,
        split: Callable[[str], list[str]],
        read_key: Callable[[str], tuple[str, Style, bool]],
    ) -> None:
        self._shaper = shaper
        self._split = split
        self._read_key = read_key
        self._first = shaper.find_single_run("a", PLAIN)
        known = re.findall(f"[{USUAL}]", "".join(map(chr, range(0x20AD))))
        plain = "".join(letter for letter in known if shaper.is_plain(letter) and letter not in _DASHES)
        usual = re.escape(plain) or "\n"
        length = f"{{1,{_MAX_CHARACTERS}}}"
        self._find_whole = re.compile(f"^[{usual}]{length}$", re.MULTILINE).findall
        self._find_dashed = re.compile(f"^(?=.*[{_DASHES}])[{_DASHES}{usual}]{length}$", re.MULTILINE).findall

    def group(self, keys: Collection[str]) -> Iterator[tuple[Batch, Words]]:
        """The words that may be shaped together; others are skipped. keys: without repetitions."""
        usual = self._find_usual("\n".join(keys))
        if usual.keys and self._first:
            yield Batch(*self._first), usual
        if len(usual.keys) < len(keys):
            found = set(usual.keys)
            yield from self._group_others(key for key in keys if key not in found)

    def _find_usual(self, lines: str) -> Words:
        """The words of Latin text, without a look at each one. lines: a word each."""
        whole: list[str] = self._find_whole(lines)
        dashed: list[str] = self._find_dashed(lines)
        parts = list(map(self._split, dashed))
        keys = whole + dashed
        return Words(keys, [*whole, *chain(*parts)], [1] * len(whole) + list(map(len, parts)), [True] * len(keys))

    def _group_others(self, keys: Iterable[str]) -> Iterator[tuple[Batch, Words]]:
        groups: dict[Batch, Words] = defaultdict(lambda: Words([], [], [], []))
        for key in keys:
            word, style, has_space = self._read_key(key)
            if not 0 < len(word) <= _MAX_CHARACTERS:
                continue
            pieces = self._split(word)
            run, *others = {self._shaper.find_single_run(piece, style) for piece in pieces}
            if run is not None and not others:
                groups[Batch(*run, style.right_to_left, style.script == "Hani")].add(key, pieces, has_space=has_space)
        yield from groups.items()
