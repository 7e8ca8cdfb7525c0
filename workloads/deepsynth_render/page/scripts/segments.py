r"""A document as a list of words and parts of words, each of one direction: the keys of the cache of words.

In most texts the keys are the words between spaces. Where a script sets no spaces, or directions mix, a word is cut
further, and the key says in control characters, which no normalised text holds, how the part is set. Text and keys:

    "plain words"           "plain"  "words"
    "\u6587\u5b57\u3002 fox"   HAN + "\u6587" + NO_SPACE  HAN + "\u5b57\u3002"  "fox"
    Hebrew "DCBA"           RIGHT_TO_LEFT + "ABCD"
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from deepsynth_render.page.scripts.bidi import Direction, resolve
from deepsynth_render.page.scripts.breaking import WITHOUT_SPACES, split_words
from deepsynth_render.page.scripts.han import Han, find_han
from deepsynth_render.page.scripts.properties import list_characters

NO_SPACE: Final = "\x00"
"""Last character of a key after which no space follows."""
RIGHT_TO_LEFT: Final = "\x01"
"""First character of a key that is set from right to left."""
HAN: Final[dict[Han, str]] = {"JP": "\x02", "KR": "\x03", "SC": "\x04", "TC": "\x05"}
"""First character (after RIGHT_TO_LEFT) of a key that is part of a word with Chinese, Japanese or Korean characters."""

_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u2fdf\u3000-\ua4cf\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
)
DIRECTED = re.compile(
    "[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff"
    "\U0001e800-\U0001efff]"
)
"""Matches a character that is set from right to left, or that changes directions."""


class Directions(NamedTuple):
    """How the keys of a document with text from right to left are set; a list each, one entry per key.

    levels, spaces: level of the key and of the space after it. bases: level of its paragraph.
    glued: whether no line may break after the key.
    """

    levels: list[int]
    spaces: list[int]
    bases: list[int]
    glued: list[bool]


class Segments(NamedTuple):
    r"""keys: in reading order; "\n" ends a paragraph. directions: None if all of the text runs from left to right."""

    keys: list[str]
    directions: Directions | None


def is_split_at_spaces(text: str) -> bool:
    """Whether the keys of a text are its words and line feeds, all from left to right."""
    if text.isascii():
        return True
    characters = list_characters(text)
    return not WITHOUT_SPACES.search(characters) and not DIRECTED.search(characters)


def split_text(text: str, characters: str = "") -> Segments:
    """Cut a normalised text. A tab is a space here, but separates parts of different direction.

    characters: the distinct ones of the document, if the text is only a part of it. They decide on the forms of Chinese
    characters.
    """
    words = text.replace("\t", " ").replace("\n", " \n ").split(" ")
    if text.isascii():
        return Segments(words, None)
    own = list_characters(text)
    characters = characters or own
    parts = _split_unspaced(words, characters) if WITHOUT_SPACES.search(own) else {}
    if DIRECTED.search(own):
        return _direct(text, parts)
    if parts:
        words = [key for word in words for key in parts.get(word, (word,))]
    return Segments(words, None)


class Part(NamedTuple):
    """Part of a key. key_index: of its key. start: of its first character in the text. glued: as in Directions."""

    key: str
    key_index: int
    start: int
    glued: bool


def cut_keys(keys: Iterable[str], places: Sequence[int]) -> Iterator[Part]:
    """Cut keys at places of their text, which are in order, so that each part is set in one look."""
    start, upcoming = 0, iter(places)
    place = next(upcoming, None)
    for index, key in enumerate(keys):
        first = len(key) - len(key.lstrip(_PREFIX_CHARACTERS))
        word = key[first:].removesuffix(NO_SPACE)
        has_space = key != "\n" and not key.endswith(NO_SPACE)
        end = start + (0 if key == "\n" else len(word))
        cut = start
        while place is not None and place < end:
            if place > cut:
                yield Part(key[:first] + word[cut - start : place - start] + NO_SPACE, index, cut, glued=True)
                cut = place
            place = next(upcoming, None)
        yield Part(key[:first] + key[first + cut - start :], index, cut, glued=False)
        start = end + has_space


def _split_unspaced(words: list[str], characters: str) -> dict[str, list[str]]:
    """Word -> its keys, for the words of scripts without spaces."""
    unspaced = [word for word in dict.fromkeys(words) if WITHOUT_SPACES.search(word)]
    cjk = [word for word in unspaced if _CJK.search(word)]
    others = [word for word in unspaced if not _CJK.search(word)]
    keys = (
        dict(zip(cjk, split_words(cjk, before=HAN[find_han(characters)], after=NO_SPACE), strict=True)) if cjk else {}
    )
    return keys | dict(zip(others, split_words(others, after=NO_SPACE), strict=True)) if others else keys


def _direct(text: str, parts: dict[str, list[str]]) -> Segments:
    keys: list[str] = []
    directions = Directions([], [], [], [])
    for number, paragraph in enumerate(text.split("\n")):
        if number:
            keys.append("\n")
            _append(directions, 0, 0, 0, glued=False)
        direction = resolve(paragraph) if DIRECTED.search(paragraph) else Direction(0, "\0" * len(paragraph))
        levels, base = direction.levels + chr(direction.base), direction.base
        words = paragraph.replace("\t", " ").split(" ")
        if not parts and levels.count(levels[0]) == len(levels):  # the usual case, without a look at each word
            keys.extend([RIGHT_TO_LEFT + word for word in words] if base else words)
            for levels_of_keys in directions[:3]:
                levels_of_keys.extend([base] * len(words))
            directions.glued.extend([False] * len(words))
            continue
        start = 0
        for word in words:
            end = start + len(word)
            space = ord(levels[end])
            level = levels[start]
            if word not in parts and levels.count(level, start, end) == end - start:
                keys.append(RIGHT_TO_LEFT + word if ord(level) % 2 else word)
                _append(directions, ord(level), space, base, glued=False)
            else:
                for key, inner, glued in _cut(parts.get(word, (word,)), levels[start:end]):
                    keys.append(key)
                    # Without a space, the place behind the key must not interrupt a run of levels.
                    _append(directions, inner, inner if key.endswith(NO_SPACE) else space, base, glued=glued)
            start = end + 1
    return Segments(keys, directions)


def _append(directions: Directions, level: int, space: int, base: int, *, glued: bool) -> None:
    directions.levels.append(level)
    directions.spaces.append(space)
    directions.bases.append(base)
    directions.glued.append(glued)


def _cut(keys: Iterable[str], levels: str) -> Iterator[tuple[str, int, bool]]:
    """Cut the keys of a word where its level changes; yield key, level, and whether it is glued to the next one."""
    position = 0
    for key in keys:
        prefix = key[:1] if key[:1] in _PREFIXES else ""
        suffix = NO_SPACE if key.endswith(NO_SPACE) else ""
        part = key[len(prefix) : len(key) - len(suffix)]
        runs = list(_find_runs(levels[position : position + len(part)]))
        for start, end in runs:
            level = ord(levels[position + start])
            is_last = end == len(part)
            run = prefix + part[start:end] + (suffix if is_last else NO_SPACE)
            yield (RIGHT_TO_LEFT + run if level % 2 else run), level, not is_last
        position += len(part)


_PREFIXES: Final = frozenset(HAN.values())
_PREFIX_CHARACTERS: Final = RIGHT_TO_LEFT + "".join(HAN.values())


def _find_runs(levels: str) -> Iterator[tuple[int, int]]:
    """Start and end of each run of equal levels."""
    start = 0
    for end in range(1, len(levels) + 1):
        if end == len(levels) or levels[end] != levels[start]:
            yield start, end
            start = end
