"""Which texts are almost the same as an earlier one: by MinHash, an estimate that takes constant time per document.

A text is the set of its groups of five words. The similarity of two texts is the share of groups they have in common.
Of texts without blanks between words (Chinese, Thai), groups of characters are compared.

    the quick brown fox jumps over  ->  {the quick brown fox jumps, quick brown fox jumps over}
"""

import re
from typing import Any, Final

_GROUP: Final = 5
_HASHES: Final = 128
"""The estimate of a similarity of 80 % is within 7 % for 19 of 20 pairs."""
_SEED: Final = 0
_WORD: Final = re.compile(r"\w+")
_MAX_WORD: Final = 12
"""Average characters of a word, above which a text has no blanks between words."""
_BANDS: Final = ((85, 16), (65, 32), (0, 64))
"""From a percentage on, the number of parts of a signature that are looked up. More parts find smaller similarities."""

Signature = Any
"""Of a text: 128 numbers. Texts that are similar have many of them in common."""


class NearDuplicates:
    """Remembers texts of which no two are similar, in about 3 KB each. A library in Rust compares them."""

    def __init__(self, percent: int) -> None:
        """percent: the similarity above which a text counts as a copy."""
        from rensa import RMinHashDeduplicator

        self._seen: Any = RMinHashDeduplicator(percent / 100, _HASHES, True, _choose_bands(percent), _SEED)

    def add(self, signature: Signature, number: int) -> bool:
        """Remember a text and return True, or return False if it is too similar to an earlier one. number: its own."""
        return bool(self._seen.add(str(number), signature))


class SimilarTexts:
    """Remembers texts by their numbers, in about 4 KB each, also those that are similar to each other.

    With a and b remembered, a text that is similar to b alone is found: NearDuplicates would not have kept b.

        a ~ b ~ text, but not a ~ text
    """

    def __init__(self, percent: int) -> None:
        """percent: the similarity above which a text is found."""
        from rensa import RMinHashLSH

        self._index: Any = RMinHashLSH(percent / 100, _HASHES, _choose_bands(percent))
        self._signatures: dict[int, Signature] = {}
        self._copies: set[int] = set()

    def add(self, signature: Signature, number: int) -> None:
        """number: its own, 0 or more. A text with the signature of an earlier one is found by that one's number."""
        copy = hash(tuple(signature.digest()))
        if copy not in self._copies:
            self._copies.add(copy)
            self._signatures[number] = signature
            self._index.insert(number, signature)

    def find(self, signature: Signature) -> int | None:
        """The smallest number of a text that is too similar, None if there is none."""
        candidates = sorted(self._index.query(signature))
        return next((n for n in candidates if self._index.is_similar(self._signatures[n], signature)), None)


def _choose_bands(percent: int) -> int:
    return next(bands for least, bands in _BANDS if percent >= least)


def sign(text: str) -> Signature:
    """The signature of a normalised text; the same on every machine."""
    from rensa import RMinHash

    signature = RMinHash(_HASHES, _SEED)
    signature.update(list_groups(text))
    return signature


def list_groups(text: str) -> list[str]:
    """At least one, with repetitions."""
    words = _WORD.findall(text)
    if sum(map(len, words)) > _MAX_WORD * len(words):
        joined = "".join(words)
        return [joined[start : start + _GROUP] for start in range(max(1, len(joined) - _GROUP + 1))]
    return [" ".join(words[start : start + _GROUP]) for start in range(max(1, len(words) - _GROUP + 1))]
