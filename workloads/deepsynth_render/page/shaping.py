"""Characters to positioned glyphs, by HarfBuzz. Each cluster is drawn in the first font that has all its characters.

A cluster is a letter with its combining marks. HarfBuzz may also merge letters into one glyph (a ligature) and moves
pairs of letters closer together (kerning), so the advance of a word is not the sum of those of its letters.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import uharfbuzz

from deepsynth_api.reasons import Reason
from deepsynth_render.page.characters import describe, find_script
from deepsynth_render.page.fonts import Font
from deepsynth_render.page.glyphs import GlyphAtlas
from deepsynth_render.reporting.dropped import RefusedDocument


class ShapedRun(NamedTuple):
    """A text and its glyphs, for example "office" with a ligature:

        text      o   f   f   i   c   e
        glyphs    o   ffi         c   e       (slot in the atlas, x, y) each
        clusters  0   1           4   5       index of each glyph's first character; a line may break there if it must

    x, y: the glyph's origin in 1/64 px, from the start of the run, y upwards. advance: width of the run, in 1/64 px.
    """

    text: str
    glyphs: list[tuple[int, int, int]]
    clusters: list[int]
    advance: int


class Shaper:
    """Shapes runs of text from left to right. A run must not contain spaces or line feeds."""

    def __init__(self, fonts: Sequence[Font], size_px: int, atlas: GlyphAtlas) -> None:
        self._fonts = fonts
        self._shapers = [font.build_shaper(size_px) for font in fonts]
        self._atlas = atlas

    def shape(self, text: str) -> ShapedRun:
        """Raises RefusedDocument(Reason.MISSING_GLYPH) for a character that no font has."""
        glyphs: list[tuple[int, int, int]] = []
        clusters: list[int] = []
        start = advance = 0
        for font, run in self._split_by_font(text):
            infos, positions = self._shape_run(font, run)
            for info, position in zip(infos, positions, strict=True):
                slot = self._atlas.find_slot(font, info.codepoint)
                glyphs.append((slot, advance + position.x_offset, position.y_offset))
                clusters.append(start + info.cluster)
                advance += position.x_advance
            start += len(run)
        return ShapedRun(text, glyphs, clusters, advance)

    def _split_by_font(self, text: str) -> Iterator[tuple[int, str]]:
        if self._fonts[0].codepoints.issuperset(map(ord, text)):
            yield from [(0, text)] if text else []
            return
        for font, clusters in groupby(_split_clusters(text), self._find_font):
            yield font, "".join(clusters)

    def _find_font(self, cluster: str) -> int:
        codepoints = [ord(character) for character in cluster]
        for index, font in enumerate(self._fonts):
            if font.codepoints.issuperset(codepoints):
                return index
        raise RefusedDocument(Reason.MISSING_GLYPH, f"no font has {' with '.join(map(describe, cluster))}")

    def _shape_run(self, font: int, run: str) -> tuple[Sequence[Any], Sequence[Any]]:
        """HarfBuzz's glyph infos and positions of a run in one font."""
        buffer = uharfbuzz.Buffer()
        buffer.add_str(run)
        # HarfBuzz would guess the language from the locale, and pages would depend on the machine.
        buffer.direction, buffer.language, buffer.script = "ltr", "und", _find_run_script(run)
        uharfbuzz.shape(self._shapers[font], buffer)
        missing = next((info for info in buffer.glyph_infos if info.codepoint == 0), None)
        if missing:
            raise RefusedDocument(Reason.MISSING_GLYPH, f"no font has {describe(run[missing.cluster])}")
        return buffer.glyph_infos, buffer.glyph_positions


def _split_clusters(text: str) -> list[str]:
    """Each character with the combining marks that follow it."""
    clusters: list[str] = []
    for character in text:
        if clusters and unicodedata.combining(character):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _find_run_script(run: str) -> str:
    if run.isascii():
        return "Latn"
    scripts = (find_script(character) for character in run)
    return next((script for script in scripts if script not in {"Zyyy", "Zinh"}), "Latn")
