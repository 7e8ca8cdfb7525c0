"""Which texts are almost the same as an earlier one: by MinHash, an estimate from 128 numbers of each.

A text is the set of its groups of five words. The similarity of two texts is the share of groups they have in common.
Of texts without blanks between words (Chinese, Thai), groups of characters are compared. Signs count only in a text
without any word, such as one of emoji.

    the quick brown fox jumps over  ->  {the quick brown fox jumps, quick brown fox jumps over}
"""

import math
import re
from typing import Final

import numpy as np

from deepsynth_text.signature_index import Numbers, SignatureIndex

_GROUP: Final = 5
_HASHES: Final = 128
"""The estimate of a similarity of 80 % is within 7 % for 19 of 20 pairs."""
_SEED: Final = 0
_WORD: Final = re.compile(r"\w+")
_MAX_WORD: Final = 12
"""Average characters of a word, above which a text has no blanks between words."""

Signature = Numbers
"""Of a text: 128 numbers. Texts that are similar have many of them in common."""


class SimilarTexts:
    """Remembers texts by their numbers, in about 1.6 KB each, also those that are similar to each other.

    With a and b remembered, a text that is similar to b alone is found:

        a ~ b ~ text, but not a ~ text
    """

    def __init__(self, percent: int) -> None:
        """percent: the similarity above which a text is found."""
        self._index = SignatureIndex(_HASHES, math.ceil(_HASHES * percent / 100))
        self._copies: set[int] = set()

    def add(self, signature: Signature, number: int) -> None:
        """number: its own. A text with the signature of an earlier one is found by that one's number."""
        copy = hash(signature.tobytes())
        if copy not in self._copies:
            self._copies.add(copy)
            self._index.add(signature, number)

    def find(self, signature: Signature) -> int | None:
        """The number of a text that is too similar, None if there is none; the same in each process."""
        return self._index.find(signature)


class NearDuplicates:
    """Remembers texts of which no two are similar, in about 1.6 KB each."""

    def __init__(self, percent: int) -> None:
        """percent: the similarity above which a text counts as a copy."""
        self._kept = SimilarTexts(percent)

    def add(self, signature: Signature, number: int) -> bool:
        """Remember a text and return True, or return False if it is too similar to an earlier one. number: its own."""
        if self._kept.find(signature) is not None:
            return False
        self._kept.add(signature, number)
        return True


def sign(text: str) -> Signature:
    """The signature of a normalised text; the same on every machine."""
    from rensa import RMinHash

    signature = RMinHash(_HASHES, _SEED)
    signature.update(list_groups(text))
    return np.array(signature.digest(), dtype=np.uint32)


def list_groups(text: str) -> list[str]:
    """At least one, with repetitions."""
    words = _WORD.findall(text) or text.split()
    if sum(map(len, words)) > _MAX_WORD * len(words):
        joined = "".join(words)
        return [joined[start : start + _GROUP] for start in range(max(1, len(joined) - _GROUP + 1))]
    return [" ".join(words[start : start + _GROUP]) for start in range(max(1, len(words) - _GROUP + 1))]
