"""Characters to positioned glyphs, by HarfBuzz. Each cluster is drawn in the first font that has all its characters.

A cluster is a letter with its combining marks. HarfBuzz may also merge letters into one glyph (a ligature), moves pairs
of letters closer together (kerning) and reorders them, so the advance of a word is not the sum of those of its letters.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import uharfbuzz

from deepsynth_api.reasons import Reason
from deepsynth_render.page.fallback import CJK_SCRIPTS, INVISIBLE, OWN_FAMILY, list_families
from deepsynth_render.page.fonts import FALLBACK, FILES, FONTS, UPRIGHT, FontStyle, list_used, load_font
from deepsynth_render.page.glyphs import GlyphAtlas
from deepsynth_render.page.scripts.han import Han
from deepsynth_render.page.scripts.properties import (
    COMMON,
    describe,
    find_script,
    is_emoji_sequence,
    split_clusters,
)
from deepsynth_render.reporting.dropped import RefusedDocument

_FIRST_FALLBACK = len(FILES) - len(FALLBACK)

_MAX_CLUSTERS = 8_000
"""Whose fonts are remembered: with marks there are more clusters than characters, without end."""

_SHAPED_TOGETHER = frozenset({"Latn", "Grek", "Cyrl"})
"""Scripts that may be mixed within a word and do not change each other's letters."""

_HEBREW_TO_LAO = range(0x590, 0xF00)
_ARABIC_FORMS = range(0xFB1D, 0xFF00)


class ShapedRun(NamedTuple):
    """A text and its glyphs, for example "office" with a ligature:

        text      o   f   f   i   c   e
        glyphs    o   ffi         c   e       (slot in the atlas, x, y) each, from left to right
        clusters  0   1           4   5       index of each glyph's first character; a line may break there if it must
        edges     0   11          32  40      where each glyph starts, from the start of the text in reading direction

    x, y: the glyph's origin in 1/64 px, from the left end of the run, y upwards. advance: width of the run, in 1/64 px.
    fallback: whether a font other than that of the page and those of FAMILIES draws some of it; it may be tall.
    """

    text: str
    glyphs: list[tuple[int, int, int]]
    clusters: list[int]
    edges: list[int]
    advance: int
    fallback: bool


class Style(NamedTuple):
    """How a text is set. script: of characters that have none of their own and stand alone."""

    right_to_left: bool = False
    script: str = "Latn"
    han: Han = "JP"


PLAIN = Style()


class _Run(NamedTuple):
    """Part of a text in one font and script. start: index of its first character."""

    font: int
    script: str
    start: int
    text: str


class Shaper:
    """Shapes runs of text. A run must not contain spaces or line feeds."""

    def __init__(self, family: str, size_px: int, atlas: GlyphAtlas, font_style: FontStyle = UPRIGHT) -> None:
        self._family = family
        self._first = FONTS.index(family)
        self._has_used = bool(list_used())  # then the font of a script is not always the first one
        self._build_shaper = cache(lambda font: load_font(FONTS[font], font_style).build_shaper(size_px))
        self._find_fonts = lru_cache(_MAX_CLUSTERS)(self._search_fonts)
        self._atlas = atlas
        self._plain = frozenset(
            codepoint
            for codepoint in load_font(family).codepoints
            if codepoint not in _HEBREW_TO_LAO and codepoint not in _ARABIC_FORMS
        )

    def shape(self, text: str, style: Style = PLAIN) -> ShapedRun:
        """Raises RefusedDocument(Reason.MISSING_GLYPH) for a character that no font has."""
        glyphs: list[tuple[int, int, int]] = []
        clusters: list[int] = []
        edges: list[int] = []
        advance = 0
        runs = list(self._split(text, style))
        for run in reversed(runs) if style.right_to_left else runs:
            infos, positions = self._shape_run(run, text, style)
            for info, position in zip(infos, positions, strict=True):
                slot = self._atlas.find_slot(run.font, info.codepoint)
                x = advance + position.x_offset
                glyphs.append((slot, x, position.y_offset))
                clusters.append(info.cluster)
                advance += position.x_advance
                edges.append(-advance if style.right_to_left else x)
        if style.right_to_left:
            edges = [advance + edge for edge in edges]
        return ShapedRun(text, glyphs, clusters, edges, advance, any(is_fallback(run.font) for run in runs))

    def is_plain(self, text: str) -> bool:
        """Whether the font of the spec has all characters, and they are shaped as one run of that font."""
        return self._plain.issuperset(map(ord, text))

    def find_single_run(self, text: str, style: Style) -> tuple[int, str] | None:
        """Font and script of a text that one font draws whole, in one script; None where it takes a closer look.

        text: of at least one character.
        """
        if style.script == "Latn" and self.is_plain(text):
            return self._first, find_run_script(text)
        if text.isascii() and self.is_plain(text):
            return self._first, "Latn" if _ASCII_LETTER.search(text) else style.script
        if self._has_used:
            return None
        if style.script == "Hani" and _PLAIN_CJK.fullmatch(text):
            return _find_cjk_run(text, style)
        own = _find_own(find_script(text[0]))
        return (own.font, own.script) if own and own.letters.issuperset(text) else None

    def _split(self, text: str, style: Style) -> Iterator[_Run]:
        if not text:
            return
        if single := self.find_single_run(text, style):
            yield _Run(*single, 0, text)
            return
        clusters = split_clusters(text)
        scripts = _resolve_scripts(clusters, style.script)
        parts = [  # (font, script, text) of each cluster, or of each character of a cluster that no font has
            (font, "Latn" if script in _SHAPED_TOGETHER else script, part)
            for cluster, script in zip(clusters, scripts, strict=True)
            for font, part in self._find_fonts(cluster, script, style.han)
        ]
        start = 0
        for (font, script), run in groupby(parts, itemgetter(0, 1)):
            part = "".join(text for _, _, text in run)
            yield _Run(font, find_run_script(part) if script == "Latn" else script, start, part)
            start += len(part)

    def _search_fonts(self, cluster: str, script: str, han: Han) -> list[tuple[int, str]]:
        emoji = ["Noto Emoji"] if is_emoji_sequence(cluster) else []
        families = [*emoji, *list_families(self._family, "Zyyy" if cluster.isascii() else script, han)]
        codepoints = {ord(character) for character in cluster if character not in INVISIBLE}
        for family in families:
            if load_font(family).codepoints.issuperset(codepoints):
                return [(FONTS.index(family), cluster)]
        if len(cluster) == 1:
            raise RefusedDocument(Reason.MISSING_GLYPH, f"no font has {describe(cluster)}")
        # A mark on a letter of another script: browsers draw them with two fonts, too.
        return [found for character in cluster for found in self._find_fonts(character, script, han)]

    def _shape_run(self, run: _Run, text: str, style: Style) -> tuple[Sequence[Any], Sequence[Any]]:
        """HarfBuzz's glyph infos and positions of a run in one font."""
        buffer = uharfbuzz.Buffer()
        buffer.add_str(text, run.start, len(run.text))  # Arabic letters also join letters of another run
        # HarfBuzz would guess the language from the locale, and pages would depend on the machine.
        buffer.direction, buffer.language, buffer.script = "rtl" if style.right_to_left else "ltr", "und", run.script
        uharfbuzz.shape(self._build_shaper(run.font), buffer)
        missing = next((info for info in buffer.glyph_infos if info.codepoint == 0), None)
        if missing:
            raise RefusedDocument(Reason.MISSING_GLYPH, f"no font has {describe(text[missing.cluster])}")
        return buffer.glyph_infos, buffer.glyph_positions


_PLAIN_CJK = re.compile(
    "[\u3001-\u3029\u3041-\u3096\u30a1-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff60]+"
)
"""Characters that are clusters of their own, so no combining marks."""


def _find_cjk_run(text: str, style: Style) -> tuple[int, str] | None:
    script, *others = set(_resolve_scripts(text, style.script))
    family = f"Noto Sans CJK {style.han}"
    is_whole = not others and script in CJK_SCRIPTS and load_font(family).codepoints.issuperset(map(ord, text))
    return (FONTS.index(family), script) if is_whole else None


def is_fallback(font: int) -> bool:
    """Whether a font, by its index in FONTS, is of FALLBACK or of spec.fonts: its letters may be tall."""
    return font >= _FIRST_FALLBACK


class _Own(NamedTuple):
    """The font of a script, and the letters, marks and punctuation that it has of this script or of none."""

    font: int
    script: str
    letters: frozenset[str]


@cache
def _find_own(script: str) -> _Own | None:
    """Most words in the font of their script have no other characters, and need no look at each of these."""
    if script not in OWN_FAMILY:
        return None
    family = OWN_FAMILY[script]
    characters = map(chr, load_font(family).codepoints)
    letters = frozenset(
        character
        for character in characters
        if find_script(character) == script or _is_shared_punctuation(character, script)
    )
    return _Own(FONTS.index(family), script, letters | _ARABIC_MARKS if script == "Arab" else letters)


def _is_shared_punctuation(character: str, script: str) -> bool:
    """Whether it is drawn in the font of a script next to its letters. ASCII is drawn in the font of the page."""
    return (
        not character.isascii()
        and unicodedata.category(character).startswith("P")
        and _find_cluster_script(character) in {script, *COMMON}
    )


_ASCII_LETTER = re.compile("[A-Za-z]")
_ARABIC_MARKS = frozenset("\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0670\u200c\u200d")
"""Vowels, which several scripts share, and joiners."""


def _resolve_scripts(clusters: Sequence[str], default: str) -> list[str]:
    """The script of each cluster. Common ones take that of the cluster before, the first ones that of the next one."""
    scripts = [_find_cluster_script(cluster) for cluster in clusters]
    last = next((script for script in scripts if script not in COMMON), default)
    for index, script in enumerate(scripts):
        if script in COMMON:
            scripts[index] = last
        else:
            last = script
    return scripts


def _find_cluster_script(cluster: str) -> str:
    for character in cluster:
        script = find_script(character)
        if script not in COMMON:
            return script
    codepoint = ord(cluster[0])
    return next((script for block, script in _BLOCKS if codepoint in block), "Zyyy")


_BLOCKS = (
    (range(0x600, 0x700), "Arab"),
    (range(0x3000, 0x3100), "Hani"),
    (range(0xFE30, 0xFE50), "Hani"),
    (range(0xFF00, 0xFFF0), "Hani"),
)
"""Punctuation and digits that several scripts share, but that belong to the fonts of one."""


def find_run_script(run: str) -> str:
    """ISO 15924 code of the first letter that is of one script; Latn if there is none."""
    if run.isascii():
        return "Latn"
    scripts = (find_script(character) for character in run)
    return next((script for script in scripts if script not in COMMON), "Latn")
