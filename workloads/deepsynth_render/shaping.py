"""Characters to positioned glyphs, by HarfBuzz, each cluster in the first font that holds it."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import uharfbuzz

from deepsynth_render.characters import describe, find_script
from deepsynth_render.fonts import Font
from deepsynth_render.refusal import RefusedDocument


class ShapedGlyph(NamedTuple):
    """font: index of the font. x, y: origin from the start of the run in 1/64 px, y upwards.

    cluster: index of the character in the run at which a line may break when nothing else helps.
    """

    font: int
    glyph: int
    x: int
    y: int
    cluster: int


class ShapedRun(NamedTuple):
    """text, its glyphs and its advance in 1/64 px."""

    text: str
    glyphs: list[ShapedGlyph]
    advance: int


class Shaper:
    """Shapes runs of text that hold no spaces or line feeds, left to right."""

    def __init__(self, fonts: Sequence[Font], size_px: int) -> None:
        self._fonts = fonts
        self._shapers = [font.build_shaper(size_px) for font in fonts]

    def shape(self, text: str) -> ShapedRun:
        """Raises RefusedDocument("MissingGlyph") when no font holds a character."""
        glyphs: list[ShapedGlyph] = []
        start = advance = 0
        for font, run in self._split_by_font(text):
            advance = self._shape_run(glyphs, font, run, start, advance)
            start += len(run)
        return ShapedRun(text, glyphs, advance)

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
        raise RefusedDocument("MissingGlyph", f"no font draws {' with '.join(map(describe, cluster))}")

    def _shape_run(self, glyphs: list[ShapedGlyph], font: int, run: str, start: int, advance: int) -> int:
        """Append the glyphs of a run in one font; the new advance."""
        buffer = uharfbuzz.Buffer()
        buffer.add_str(run)
        # Guessed properties would take the language from the locale and so depend on the machine.
        buffer.direction, buffer.language, buffer.script = "ltr", "und", _find_run_script(run)
        uharfbuzz.shape(self._shapers[font], buffer)
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            if info.codepoint == 0:
                raise RefusedDocument("MissingGlyph", f"no font draws {describe(run[info.cluster])}")
            x, y = advance + position.x_offset, position.y_offset
            glyphs.append(ShapedGlyph(font, info.codepoint, x, y, start + info.cluster))
            advance += position.x_advance
        return advance


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
    scripts = (find_script(character) for character in run)
    return next((script for script in scripts if script not in {"Zyyy", "Zinh"}), "Latn")
