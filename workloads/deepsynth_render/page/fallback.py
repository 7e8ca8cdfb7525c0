"""Which font draws a character: an explicit order of families, the same on every machine.

1. the family of the page, if it is one of spec.fonts
2. for a letter of a script whose letters change with their neighbours, or of Chinese, Japanese and Korean: the other
   spec.fonts, then the font made for this script
3. the family of the page, then spec.fonts
4. CHAIN: DejaVu, then Noto
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_render.page import noto
from deepsynth_render.page.fonts import FALLBACK_ORDER, FAMILIES, Font, list_used, load_font, register_fonts
from deepsynth_render.page.scripts.han import Han
from deepsynth_render.page.scripts.properties import describe, find_script, list_characters
from deepsynth_render.reporting.dropped import RefusedDocument

OWN_FAMILY = {
    "Arab": "Noto Sans Arabic",
    "Beng": "Noto Sans Bengali",
    "Deva": "Noto Sans Devanagari",
    "Ethi": "Noto Sans Ethiopic",
    "Gujr": "Noto Sans Gujarati",
    "Guru": "Noto Sans Gurmukhi",
    "Hebr": "Noto Sans Hebrew",
    "Khmr": "Noto Sans Khmer",
    "Knda": "Noto Sans Kannada",
    "Laoo": "Noto Sans Lao",
    "Mlym": "Noto Sans Malayalam",
    "Mymr": "Noto Sans Myanmar",
    "Orya": "Noto Sans Oriya",
    "Sinh": "Noto Sans Sinhala",
    "Taml": "Noto Sans Tamil",
    "Telu": "Noto Sans Telugu",
    "Thai": "Noto Sans Thai",
    **noto.FAMILIES,
}
"""The family that comes first for letters of a script (ISO 15924 code)."""

_LAST: Final = ("Noto Serif", "Noto Sans Mono", "Noto Sans Symbols 2", *noto.SHARED)
CHAIN: Final = (
    *(family for family in FAMILIES if family not in _LAST),
    *(family for family in FALLBACK_ORDER if family not in _LAST),
    *_LAST,
)
"""The families that are tried for all characters, in order: DejaVu Sans has the most of them. _LAST came last, and
pages keep the fonts that they had before.
"""

CJK_SCRIPTS = frozenset({"Bopo", "Hang", "Hani", "Hira", "Kana"})
"""Scripts drawn in Noto Sans CJK, in the face of one country."""

INVISIBLE = frozenset(
    map(chr, (0x61C, *range(0x180B, 0x1810), *range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0020, 0xE0080), *range(0xE0100, 0xE01F0))))
"""Characters that draw nothing themselves but change their neighbours; normalise keeps them where they do."""


def list_families(first: str, script: str, han: Han) -> Iterator[str]:
    """The families to try for a character of a script, in order. first: the one that the spec names.

    Of the faces of Noto Sans CJK only one or two, because they have the same characters.
    """
    used = list_used()
    if first in used:
        yield first
    if script in CJK_SCRIPTS:
        yield from used
        yield f"Noto Sans CJK {han}"
    elif script in OWN_FAMILY:
        yield from used
        yield OWN_FAMILY[script]
    yield first
    yield from used
    yield from (family for family in CHAIN if family != first)


def check_drawable(text: str) -> None:
    """Raise RefusedDocument for the first character that no font has. text: normalised.

    The reason is UNSUPPORTED_SCRIPT if no font is made for its script, else MISSING_GLYPH.
    """
    undrawable = find_undrawable(text)
    if undrawable:
        character = min(undrawable, key=text.index)
        script = find_script(character)
        if is_supported(script):
            raise RefusedDocument(Reason.MISSING_GLYPH, f"no font has {describe(character)}")
        raise RefusedDocument(
            Reason.UNSUPPORTED_SCRIPT, f"{describe(character)} is of script {script}, for which there is no font"
        )


def find_undrawable(text: str) -> set[str]:
    """The characters that no font of any family draws. text: normalised.

    Takes microseconds when their characters were seen before in this process.
    """
    unknown = set(list_characters(text)) - _drawable
    if unknown:
        drawable = {character for character in unknown if _is_drawable(character)}
        _drawable.update(drawable)
        unknown -= drawable
    return unknown


def replace_undrawable(text: str) -> tuple[str, int]:
    """The text with U+FFFD for each character that no font draws, and how many these are. text: normalised."""
    undrawable = find_undrawable(text)
    if not undrawable:
        return text, 0
    replaced = sum(map(text.count, undrawable))
    return text.translate(dict.fromkeys(map(ord, undrawable), REPLACEMENT)), replaced


REPLACEMENT = "\ufffd"
"""Drawn as a question mark in a black diamond."""

_DRAWN_AT_FIRST: Final = frozenset({"\n", "\t", *map(chr, range(0x20, 0x7F)), *INVISIBLE})
"""ASCII is there from the start: text in it needs no data of Unicode."""
_drawable = set(_DRAWN_AT_FIRST)
"""The characters found so far that a font draws."""


def use_fonts(fonts: Iterable[Font]) -> None:
    """Have this process draw with fonts of spec.fonts too, in place of those of an earlier call."""
    register_fonts(fonts)
    _drawable.intersection_update(_DRAWN_AT_FIRST)
    _is_drawable.cache_clear()
    has_variant.cache_clear()


@cache
def _is_drawable(character: str) -> bool:
    families = list_families("DejaVu Sans", find_script(character), "JP")
    return any(ord(character) in load_font(family).codepoints for family in families)


def is_supported(script: str) -> bool:
    """Whether fonts are made for a script (ISO 15924 code)."""
    return script in OWN_FAMILY or script in CJK_SCRIPTS or script in _PLAIN_SCRIPTS


_PLAIN_SCRIPTS = frozenset(
    {"Armn", "Brai", "Cans", "Cyrl", "Geor", "Grek", "Ital", "Latn", "Lisu", "Ogam", "Tfng", "Zinh", "Zyyy"}
)
"""Scripts drawn in the family of the spec or another of DejaVu."""


@cache
def has_variant(character: str, selector: str) -> bool:
    """Whether a character is drawn in another way before a variation selector.

    The selector of emoji (U+FE0F) chooses the font of emoji, which changes only what another font has too.
    """
    codepoint = ord(character)
    if selector == _EMOJI_SELECTOR:
        is_emoji = codepoint > 0xA8 and codepoint in load_font("Noto Emoji").codepoints
        return is_emoji and any(codepoint in load_font(family).codepoints for family in FAMILIES)
    families = list_families("DejaVu Sans", find_script(character), "JP")
    family = next((family for family in families if codepoint in load_font(family).codepoints), None)
    return family is not None and load_font(family).has_variant(character, selector)


_EMOJI_SELECTOR = "\ufe0f"
