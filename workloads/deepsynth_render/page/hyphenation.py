"""Words in two parts, at the places where a dictionary (of LibreOffice, by pyphen) allows a hyphen."""

import re

import pyphen

from deepsynth_api.errors import ConfigurationError
from deepsynth_render.page.fine_breaking import Hyphenated
from deepsynth_render.page.scripts.segments import NO_SPACE
from deepsynth_render.page.words import ADVANCE, WordCache

_WORD = re.compile(r"([^\w]*)([^\W\d_]{4,})([^\w]*)")
_HYPHEN = "-"


def check_language(language: str) -> str:
    """The name of a dictionary for a language, or for a variant of it. Raises ConfigurationError if there is none."""
    found = pyphen.language_fallback(language)
    if found is None:
        known = ", ".join(sorted(pyphen.LANGUAGES))
        raise ConfigurationError(f"spec.page.hyphenation: no dictionary for {language!r}; there are {known}")
    return str(found)


class Hyphenator:
    """language: as for check_language."""

    def __init__(self, language: str, words: WordCache) -> None:
        self._dictionary = pyphen.Pyphen(lang=check_language(language))
        self._words = words
        self._known: dict[str, list[Hyphenated]] = {}
        self._generation = words.shapes.generation

    def __call__(self, word: str) -> list[Hyphenated]:
        """The word in two parts at each place, the longest head first."""
        if self._generation != self._words.shapes.generation:
            self._known, self._generation = {}, self._words.shapes.generation
        if word not in self._known:
            self._known[word] = self._split(word)
        return self._known[word]

    def _split(self, word: str) -> list[Hyphenated]:
        match = _WORD.fullmatch(word)
        if not match:
            return []
        places = [match.start(2) + place for place in reversed(self._dictionary.positions(match[2]))]
        keys = [key + NO_SPACE for place in places for key in (word[:place] + _HYPHEN, word[place:])]
        rows, counts = self._words.find_keys(keys)
        if (counts != 1).any():  # the word is wider than a column
            return []
        widths = self._words.pieces.take(rows)[:, ADVANCE].tolist()
        pairs = zip(places, rows[::2].tolist(), widths[::2], rows[1::2].tolist(), widths[1::2], strict=True)
        return [Hyphenated(head, head_width, place, tail, width) for place, head, head_width, tail, width in pairs]
