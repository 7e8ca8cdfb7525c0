"""Which texts were seen before, over all splits, in 16 bytes per slot."""

import hashlib
from collections.abc import Iterable
from typing import Final

_HASH_BYTES: Final = 16
_EMPTY: Final = bytes(_HASH_BYTES)
_SPLIT_ORDER: Final = {"test": 0, "validation": 1, "train": 3}


def order_splits(splits: Iterable[str]) -> list[str]:
    """Test, validation, others, train. Of equal texts the first is kept, so no text of test is also in train."""
    return sorted(splits, key=lambda split: (_SPLIT_ORDER.get(split, 2), split))


def hash_text(text: str) -> bytes:
    """128-bit hash of a normalised text."""
    return hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest()


class SeenTexts:
    """The set of hashes seen so far. A hash table in one bytearray: a Python set would take about 100 bytes per row.

    slot     0         1         2         3
          [ empty ] [ 16 B  ] [ 16 B  ] [ empty ]    a hash is in slot (hash mod slots) or the next free one
    """

    def __init__(self, slots: int = 1024) -> None:
        self._slots = slots
        self._table = bytearray(slots * _HASH_BYTES)
        self._count = 0

    def add(self, digest: bytes) -> bool:
        """Remember a hash and return whether it is new."""
        position = self._find(digest)
        if self._table[position : position + _HASH_BYTES] == digest:
            return False
        self._table[position : position + _HASH_BYTES] = digest
        self._count += 1
        if self._count * 3 > self._slots * 2:
            self._grow()
        return True

    def _find(self, digest: bytes) -> int:
        """Offset of the hash, or of the empty slot where it belongs."""
        slot = int.from_bytes(digest[:8]) % self._slots
        while self._table[slot * _HASH_BYTES : (slot + 1) * _HASH_BYTES] not in (digest, _EMPTY):
            slot = (slot + 1) % self._slots
        return slot * _HASH_BYTES

    def _grow(self) -> None:
        previous, self._slots = self._table, self._slots * 2
        self._table = bytearray(self._slots * _HASH_BYTES)
        for offset in range(0, len(previous), _HASH_BYTES):
            digest = bytes(previous[offset : offset + _HASH_BYTES])
            if digest != _EMPTY:
                position = self._find(digest)
                self._table[position : position + _HASH_BYTES] = digest
