"""The characters of a text and their properties: script, name, and what belongs to the character before."""

import unicodedata
from functools import cache

from deepsynth_render.page.compiled.loading import IS_BUILT, core

COMMON = frozenset({"Zyyy", "Zinh"})
"""Characters of these scripts take the script of the text around them: punctuation, digits, combining marks."""

_CONTINUING = frozenset({"Mn", "Mc", "Me"})
_JOINERS = frozenset("\u200c\u200d")
_MODIFIERS = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_TAGS = frozenset(map(chr, range(0xE0020, 0xE0080)))
_FLAG_LETTERS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))


def list_characters(text: str) -> str:
    """The distinct characters of a text, in the order in which they come first.

    >>> list_characters("a banana")
    'a bn'
    """
    if IS_BUILT:
        try:
            return core.list_characters(text)
        except UnicodeEncodeError:  # a lone surrogate
            pass
    return list_in_python(text)


def list_in_python(text: str) -> str:
    """The same as list_characters."""
    return "".join(dict.fromkeys(text))


@cache
def find_script(character: str) -> str:
    """ISO 15924 code of a character's script; Zzzz for characters that are private or not assigned."""
    from fontTools.unicodedata import script

    return str(script(character))


def describe(character: str) -> str:
    """A name for messages, such as U+00E9 LATIN SMALL LETTER E WITH ACUTE."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '(no name)')}"


@cache
def is_extending(character: str) -> bool:
    """Whether a character belongs to the one before: combining marks, joiners, variation selectors, skin tones."""
    return (
        unicodedata.category(character) in _CONTINUING
        or character in _JOINERS
        or character in _MODIFIERS
        or character in _TAGS
    )


def split_clusters(text: str) -> list[str]:
    """Each character with the marks that follow it; an emoji sequence or a flag is one cluster."""
    starts: list[int] = []
    for index, character in enumerate(text):
        if not starts or not (is_extending(character) or _continues(text, starts[-1], index)):
            starts.append(index)
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _continues(text: str, start: int, index: int) -> bool:
    """Whether a character that is not extending belongs to the cluster that starts at `start` and ends before it."""
    if text[index] in _FLAG_LETTERS:
        return index - start == 1 and text[start] in _FLAG_LETTERS
    return text[index - 1] == "\u200d" and unicodedata.category(text[index]) == "So"


def is_emoji_sequence(cluster: str) -> bool:
    """Whether a cluster only has its meaning as a whole, in a font of emoji: flags, families, skin tones, keycaps."""
    return len(cluster) > 1 and (
        cluster[0] in _FLAG_LETTERS
        or any(mark in _EMOJI_MARKS or mark in _MODIFIERS for mark in cluster[1:])
        or (unicodedata.category(cluster[0]) == "So" and "\u200d" in cluster)
    )


_EMOJI_MARKS = frozenset("\ufe0f\u20e3")
