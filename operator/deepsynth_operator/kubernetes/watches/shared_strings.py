"""Equal short strings once in memory: json.loads allocates every key and every value of every object.

Of thousands of runs, Jobs and pods, the names of fields, states, reasons and times are two fifths of what they take.
sys.intern does not fit: in some versions of Python it keeps strings forever, and users choose some of these.
"""

from itertools import zip_longest
from typing import Any, Final

MAX_CHARACTERS: Final = 32
"""Longer strings, such as uids and URIs, are rarely equal."""
MAX_STRINGS: Final = 20_000


class SharedStrings:
    """Forgets all strings once there are too many; those in use stay with their objects."""

    def __init__(self, max_strings: int = MAX_STRINGS) -> None:
        self._max_strings = max_strings
        self._known: dict[str, str] = {}

    def share(self, value: Any, before: Any = None) -> Any:
        """A copy of `value`, which is JSON, that shares its short strings with the earlier ones.

        before: what this method returned for an earlier version of `value`. Equal parts of it are used again as they
        are, because most of an object does not change, and comparing is quicker than copying.
        """
        if isinstance(value, str):
            return self._get(value)
        if not isinstance(value, dict | list):
            return value
        if value == before:
            return before
        if isinstance(value, dict):
            known = before if isinstance(before, dict) else {}
            return {self._get(key): self.share(item, known.get(key)) for key, item in value.items()}
        items = before if isinstance(before, list) else []
        return [self.share(item, old) for item, old in zip_longest(value, items[: len(value)])]

    def _get(self, text: str) -> str:
        if len(text) > MAX_CHARACTERS:
            return text
        if len(self._known) >= self._max_strings:
            self._known.clear()
        return self._known.setdefault(text, text)
