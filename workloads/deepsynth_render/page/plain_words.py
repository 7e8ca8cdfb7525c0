"""New words that need nothing special, shaped together: one font, from left to right.

HarfBuzz takes a microsecond for a word; the rest of what a word costs is Python objects, one for each glyph. So the
compiled core calls HarfBuzz for many words, and arrays hold the result.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.compiled.loading import IS_BUILT, core
from deepsynth_render.page.fonts import REGULAR, Font
from deepsynth_render.page.glyphs import GlyphAtlas
from deepsynth_render.page.growing import Ints

_MAX_GLYPH_ID = 0xFFFF
_MAX_CHARACTERS = 1000
_BREAKABLE = re.compile("[-\u2010\u2013\u2014]")
"""Matches all words between whose letters a line might break; it does not matter that it matches more."""


class ShapedPieces(NamedTuple):
    """Pieces of one script, and their glyphs.

    glyphs: (glyphs, 3) slot, x, y, as WordCache.glyphs. counts: (pieces,) glyphs of each, 0 if the font lacks one.
    advances: (pieces,) in 1/64 px. inked: (pieces,) whether a piece draws anything.
    """

    glyphs: Ints
    counts: Ints
    advances: Ints
    inked: NDArray[np.bool_]


class PlainShaper:
    """Shapes pieces of words in one font. font: its index in the atlas."""

    def __init__(self, shaper: "core.Shaper", font: int, atlas: GlyphAtlas) -> None:
        self._shaper = shaper
        self._font = font
        self._atlas = atlas
        self._slots = np.full(_MAX_GLYPH_ID + 1, -1, np.int64)  # (glyphs of the font,), -1: not drawn yet
        self._inked = np.zeros(_MAX_GLYPH_ID + 1, bool)  # (glyphs of the font,)

    def shape(self, pieces: list[str], script: str) -> ShapedPieces:
        """pieces: of at least one character each."""
        found, measured = self._shaper.shape(pieces, script)
        glyphs = np.frombuffer(found, np.int64).reshape(-1, 3)  # glyph, x, y
        counts, advances = np.frombuffer(measured, np.int64).reshape(-1, 2).T  # (pieces,)
        slots = self._find_slots(glyphs[:, 0])
        inked = np.append(0, np.cumsum(self._inked[glyphs[:, 0]]))  # (glyphs + 1,) inked glyphs before each glyph
        ends = np.cumsum(counts)  # (pieces,)
        return ShapedPieces(
            np.column_stack([slots, glyphs[:, 1:]]), counts, advances, inked[ends] > inked[ends - counts]
        )

    def _find_slots(self, ids: Ints) -> Ints:
        """(glyphs,) int64; new glyphs are drawn."""
        slots = self._slots[ids]
        if slots.size and slots.min() < 0:
            for glyph in np.unique(ids[slots < 0]).tolist():
                slot = self._slots[glyph] = self._atlas.find_slot(self._font, glyph)
                self._inked[glyph] = slot not in self._atlas.blank
            slots = self._slots[ids]
        return np.asarray(slots)


def build_plain_shaper(font: Font, index: int, size_px: int, atlas: GlyphAtlas) -> PlainShaper | None:
    """None where the core is not built, or uharfbuzz hides HarfBuzz, or for the bold letters of a variable font.

    index: of the font in the atlas.
    """
    if not IS_BUILT or (font.variation and font.style.weight != REGULAR):
        return None
    import uharfbuzz._harfbuzz

    try:
        shaper = core.Shaper(str(uharfbuzz._harfbuzz.__file__), font.data, size_px * 64)  # noqa: SLF001
    except OSError:
        return None
    return PlainShaper(shaper, index, atlas)


class PlainWord(NamedTuple):
    """A word whose pieces may be shaped together with those of others."""

    word: str
    pieces: list[str]


def group_plain_words(
    words: Iterable[str],
    split: Callable[[str], list[str]],
    is_plain: Callable[[str], bool],
    find_script: Callable[[str], str],
) -> dict[str, list[PlainWord]]:
    """Script -> the words that may be shaped together.

    split: a word into its pieces. is_plain: of the words that one font has all characters of; it has those of ASCII.
    """
    groups: dict[str, list[PlainWord]] = defaultdict(list)
    for word in words:
        if not 0 < len(word) <= _MAX_CHARACTERS or not word.isprintable():
            continue
        pieces = split(word) if _BREAKABLE.search(word) else [word]
        if word.isascii():
            groups["Latn"].append(PlainWord(word, pieces))
        elif is_plain(word):
            scripts = {find_script(piece) for piece in pieces}
            if len(scripts) == 1:
                groups[scripts.pop()].append(PlainWord(word, pieces))
    return groups
