"""Which invisible characters stay in a text: those that change how the characters around them are drawn.

    zero-width non-joiner, joiner    where Arabic letters would join or would not, behind the virama of Indic scripts,
                                     and in emoji sequences
    variation selectors              where a font has the variant, and after Mongolian letters
    Mongolian vowel separator        between letters
    direction marks and embeddings   in lines where they change the order of what is drawn

The text of a page then holds nothing that the page does not show.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

from deepsynth_render.page.scripts.bidi import resolve
from deepsynth_render.page.scripts.properties import list_characters

ZWNJ, ZWJ = "\u200c", "\u200d"

CONTEXTUAL = (
    "\u061c\u180b-\u180f\u200c-\u200f\u202a-\u202e\u2066-\u2069\ufe00-\ufe0f\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
"""The characters that stay in some texts, as the inside of a regular expression's set."""

_MARKS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_JOINERS = re.compile("[\u200c\u200d]")
_REPEATED = re.compile("([\u200c\u200d])\\1+")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_TAGS = re.compile("[\U000e0020-\U000e007f]")
_STRAY_TAGS = re.compile("(?<!\U0001f3f4)(?<![\U000e0020-\U000e007e])[\U000e0020-\U000e007f]+")
_MONGOLIAN = re.compile("[\u180b-\u180f]")
_STRAY_MONGOLIAN = re.compile(
    "(?<![\u1820-\u18aa])[\u180b-\u180d\u180f]|(?<![\u1820-\u18aa\u180b-\u180d\u180f])\u180e|\u180e(?![\u1820-\u18aa])"
)
_KEYCAP = "\u20e3"

_CURSIVE = re.compile(
    "[\u0620-\u06ff\u0710-\u077f\u07ca-\u07ea\u07fa\u0840-\u0858\u0860-\u086a\u0870-\u08ff\u1820-\u18aa\ua840-\ua871"
    "\U00010ac0-\U00010ae4\U00010b80-\U00010b91\U00010d00-\U00010d23\U00010f30-\U00010f44\U0001e900-\U0001e943]"
)
"""Matches a letter of a script whose letters join: Arabic, N'Ko, Syriac, Mongolian, Adlam and others."""
_JOINS_NOTHING = re.compile("[\u0621\u0674\u06d4\u06dd\u06de\u06e9\u06f0-\u06f9\u0660-\u066d\u0887\u0888\u08ad\u08e2]")
_JOINS_BEFORE_ONLY = re.compile(
    "[\u0622-\u0625\u0627\u0629\u062f-\u0632\u0648\u0671-\u0673\u0675-\u0677\u0688-\u0699\u06c0\u06c3-\u06cb\u06cd"
    "\u06cf\u06d2-\u06d3\u06d5\u06ee-\u06ef\u0759-\u075b\u076b-\u076c\u0771\u0773-\u0774\u0778-\u0779\u0870-\u0882\u088e"
    "\u08aa-\u08ac\u08ae\u08b1-\u08b2\u08b9]"
)
"""Matches a letter that joins the letter before it and not the one after it (Joining_Type Right)."""

_REGISTER_SHIFTERS = ("\u17c9", "\u17ca")  # of Khmer
_VIRAMA = 9  # canonical combining class


def drop_unseen(text: str, has_variant: Callable[[str, str], bool]) -> str:
    """The text without the contextual characters that change nothing. has_variant: (character, selector) -> bool."""
    characters = list_characters(text)  # so that most of what follows needs no look at the whole text
    if _TAGS.search(characters):
        text = _STRAY_TAGS.sub("", text)
    if ZWNJ + ZWNJ in text or ZWJ + ZWJ in text:
        text = _REPEATED.sub(r"\1", text)
    if _MONGOLIAN.search(characters):
        text = _STRAY_MONGOLIAN.sub("", text)
    if _SELECTORS.search(characters):
        text = _SELECTORS.sub(lambda match: match[0] if _selects(text, match.start(), has_variant) else "", text)
    if _JOINERS.search(characters):
        text = _JOINERS.sub(lambda match: match[0] if _joins(text, match.start()) else "", text)
    if _MARKS.search(characters):
        text = "\n".join(line if _reorders(line) else _MARKS.sub("", line) for line in text.split("\n"))
    return text


def _selects(text: str, index: int, has_variant: Callable[[str, str], bool]) -> bool:
    if not index:
        return False
    if text[index] == "\ufe0f" and text[index + 1 : index + 2] == _KEYCAP:
        return text[index - 1] in "0123456789#*"
    return has_variant(text[index - 1], text[index])


def _joins(text: str, index: int) -> bool:
    """Whether the joiner or non-joiner at an index changes how its neighbours are drawn."""
    before, after = _find_neighbour(text, index, -1), _find_neighbour(text, index, 1)
    if _is_virama(text[index - 1 : index]) or text[index + 1 : index + 2] in _REGISTER_SHIFTERS:
        return True
    joined = _may_join_next(before), _may_join_previous(after)
    if text[index] == ZWNJ:
        return all(joined)
    if _is_virama(text[index + 1 : index + 2]) or (any(joined) and not all(joined)):
        return True
    return _is_pictograph(before) and _is_pictograph(after)


def _find_neighbour(text: str, index: int, step: int) -> str:
    """The next character in one direction that is not a combining mark, selector or skin tone."""
    index += step
    while 0 <= index < len(text) and (
        unicodedata.category(text[index]) in {"Mn", "Me"} or "\U0001f3fb" <= text[index] <= "\U0001f3ff"
    ):
        index += step
    return text[index] if 0 <= index < len(text) else ""


def _may_join_next(character: str) -> bool:
    return _is_joining(character) and not _JOINS_BEFORE_ONLY.match(character)


def _may_join_previous(character: str) -> bool:
    return _is_joining(character)


def _is_joining(character: str) -> bool:
    return bool(_CURSIVE.match(character)) and not _JOINS_NOTHING.match(character)


def _is_virama(character: str) -> bool:
    return bool(character) and unicodedata.combining(character) == _VIRAMA


def _is_pictograph(character: str) -> bool:
    return bool(character) and unicodedata.category(character) == "So"


def _reorders(line: str) -> bool:
    """Whether the direction marks of a line change where, or in which direction, anything is drawn."""
    marks = [match.start() for match in _MARKS.finditer(line)]
    if not marks:
        return False
    with_marks, without = resolve(line), resolve(_remove(line, marks))
    shown = _remove(with_marks.levels, marks)
    return with_marks.base != without.base or (
        shown != without.levels and _draw_order(shown) != _draw_order(without.levels)
    )


def _remove(text: str, places: Sequence[int]) -> str:
    return "".join(text[start + 1 : end] for start, end in pairwise([-1, *places, len(text)]))


def _draw_order(levels: str) -> list[tuple[int, int, bool]]:
    r"""The parts of a line from left to right (rule L2): start, end, and whether it is set from right to left.

    Two lines of equal length are drawn in the same order if their parts are equal.

    >>> _draw_order("\x00\x00\x01\x02\x02\x01")
    [(0, 2, False), (5, 6, True), (3, 5, False), (2, 3, True)]
    """
    runs = [(match.start(), match.end(), ord(match[1])) for match in _EQUAL.finditer(levels)]
    for level in range(max((level for _, _, level in runs), default=0), 0, -1):
        parts = [list(part) for _, part in groupby(runs, lambda run: run[2] >= level)]  # noqa: B023 - used at once
        runs = [run for part in parts for run in (reversed(part) if part[0][2] >= level else part)]
    order: list[tuple[int, int, bool]] = []
    for start, end, level in runs:
        is_odd = level % 2 == 1
        if order and order[-1] == (order[-1][0], start, False) and not is_odd:
            order[-1] = order[-1][0], end, False
        elif order and order[-1] == (end, order[-1][1], True) and is_odd:
            order[-1] = start, order[-1][1], True
        else:
            order.append((start, end, is_odd))
    return order


_EQUAL = re.compile(r"(.)\1*", re.DOTALL)
