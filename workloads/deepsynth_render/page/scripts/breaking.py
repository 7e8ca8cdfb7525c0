"""Where words of scripts that set no spaces between words may break (UAX 14), by ICU and its dictionaries.

    Chinese, Japanese, Korean     between most characters, but not before closing or after opening punctuation
    Thai, Lao, Khmer, Burmese     between the words of a dictionary
    Tibetan                       after the dot between syllables
    Balinese, Javanese, Cham …    between syllables

Words of other scripts break at spaces and hyphens, which words.py does itself.
"""

import re
from collections.abc import Sequence

_LOCALE = "ja@lb=strict"
"""The strict rules of every script; the language only decides how wide quotation marks and small kana are treated."""

WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u19e0-\u19ff\u1b00-\u1b7f\u1bc0-\u1bff\u2e80-\u2fdf"
    "\u3000-\u4dbf\u4e00-\ua4cf\ua960-\ua9df\ua9e0-\ua9ff\uaa00-\uaa7f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f"
    "\uff00-\uffef\U00010380-\U000103df\U00011000-\U0001107f\U0001b000-\U0001b2ff"
    "\U00020000-\U0003ffff]"
)
"""Matches a character of a script that sets no spaces between words, or that breaks lines within words."""


def split_words(words: Sequence[str], *, before: str = "", after: str = "") -> list[list[str]]:
    """Each word in the parts between which a line may break. A word holds no space and no control character.

    before, after: put before each part, and after each but the last of its word.

    >>> split_words(["\u6587\u5b57\u3002"], after="+")
    [['\u6587+', '\u5b57\u3002']]
    """
    from icu4py.breakers import LineBreaker  # 13 MB of libraries, which most datasets do not need

    # Join and split, because a loop in Python would take longer than ICU.
    between = f"{after}{_CUT}{before}"
    joined = between.join(LineBreaker("\n".join(words), _LOCALE))
    if _JOINED_LETTERS.search(joined):
        cut = re.escape(between)
        joined = re.sub(f"(?<={_STACKERS}){cut}|(?<!\n){cut}(?={_VOWELS_AM})", "", joined)
    return [(before + word).split(_CUT) for word in joined.split(f"\n{between}")]


_CUT = "\x1f"
_STACKERS = "[\u1039\u17d2]"
"""Put the next Burmese or Khmer letter below the one before."""
_VOWELS_AM = "[\u0e33\u0eb3]"
"""Thai and Lao vowels that belong to the letter before; alone, they are drawn on a dotted circle."""
_JOINED_LETTERS = re.compile(f"{_STACKERS}|{_VOWELS_AM}")
"""What ICU's dictionaries cut off in words that they do not know, such as names and words of Pali."""
