"""New words that need nothing special, shaped together: one font, from left to right, one piece each.

HarfBuzz takes a microsecond for a word; the rest of what a word costs is Python objects, one for each glyph. So the
compiled core calls HarfBuzz for many words, and arrays hold the result.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepsynth_render.page.compiled.loading import IS_BUILT, core
from deepsynth_render.page.fonts import Font
from deepsynth_render.page.glyphs import GlyphAtlas
from deepsynth_render.page.growing import Ints

_MAX_GLYPH_ID = 0xFFFF
_MAX_CHARACTERS = 1000
_BREAKABLE = re.compile("[-\u2010\u2013\u2014]")
"""Matches all words between whose letters a line might break; it does not matter that it matches more."""


class ShapedWords(NamedTuple):
    """Words of one script, and their glyphs.

    glyphs: (glyphs, 3) slot, x, y, as WordCache.glyphs. counts: (words,) at least 1. advances: (words,) in 1/64 px.
    inked: (words,) whether a word draws anything.
    """

    words: list[str]
    glyphs: Ints
    counts: Ints
    advances: Ints
    inked: NDArray[np.bool_]


class PlainShaper:
    """Shapes words in one font. font: its index in the atlas."""

    def __init__(self, shaper: "core.Shaper", font: int, atlas: GlyphAtlas) -> None:
        self._shaper = shaper
        self._font = font
        self._atlas = atlas
        self._slots = np.full(_MAX_GLYPH_ID + 1, -1, np.int64)  # (glyphs of the font,), -1: not drawn yet
        self._inked = np.zeros(_MAX_GLYPH_ID + 1, bool)  # (glyphs of the font,)

    def shape(self, words: list[str], script: str, max_advance: int) -> ShapedWords:
        """The words that the font has and that are not wider than max_advance; without the others."""
        found, measured = self._shaper.shape(words, script)
        glyphs = np.frombuffer(found, np.int64).reshape(-1, 3)  # glyph, x, y
        counts, advances = np.frombuffer(measured, np.int64).reshape(-1, 2).T  # (words,)
        fits = (counts > 0) & (advances <= max_advance)
        if not fits.all():
            glyphs = glyphs[np.repeat(fits, counts)]
            counts, advances = counts[fits], advances[fits]
            words = [word for word, is_kept in zip(words, fits.tolist(), strict=True) if is_kept]
        ids = glyphs[:, 0]
        starts = np.cumsum(counts) - counts  # (words,)
        slots = self._find_slots(ids)
        inked = np.logical_or.reduceat(self._inked[ids], starts) if words else np.zeros(0, bool)
        return ShapedWords(words, np.column_stack([slots, glyphs[:, 1:]]), counts, advances, inked)

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
    """None where the core is not built, or uharfbuzz hides HarfBuzz. index: of the font in the atlas."""
    if not IS_BUILT:
        return None
    import uharfbuzz._harfbuzz

    try:
        shaper = core.Shaper(str(uharfbuzz._harfbuzz.__file__), font.data, size_px * 64)  # noqa: SLF001
    except OSError:
        return None
    return PlainShaper(shaper, index, atlas)


def group_plain_words(
    words: Sequence[str], is_plain: Callable[[str], bool], find_script: Callable[[str], str]
) -> dict[str, list[str]]:
    """Script -> the words that may be shaped together. is_plain: of the words that one font has all characters of."""
    groups: dict[str, list[str]] = defaultdict(list)
    for word in words:
        if 0 < len(word) <= _MAX_CHARACTERS and word.isprintable() and not _BREAKABLE.search(word) and is_plain(word):
            groups[find_script(word)].append(word)
    return groups
