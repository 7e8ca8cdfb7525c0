"""Equal short strings once in memory: json.loads allocates every key and every value of every object.

Of thousands of runs, Jobs and pods, the names of fields, states, reasons and times are two fifths of what they take.
sys.intern does not fit: in some versions of Python it keeps strings forever, and users choose some of these.
"""

from typing import Any, Final

MAX_CHARACTERS: Final = 32
"""Longer strings, such as uids and URIs, are rarely equal."""
MAX_STRINGS: Final = 20_000


class SharedStrings:
    """Forgets all strings once there are too many; those in use stay with their objects."""

    def __init__(self, max_strings: int = MAX_STRINGS) -> None:
        self._max_strings = max_strings
        self._known: dict[str, str] = {}

    def share(self, value: Any) -> Any:
        """A copy of `value`, which is JSON, that shares its short strings with the earlier ones."""
        if isinstance(value, dict):
            return {self._get(key): self.share(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.share(item) for item in value]
        return self._get(value) if isinstance(value, str) else value

    def _get(self, text: str) -> str:
        if len(text) > MAX_CHARACTERS:
            return text
        if len(self._known) >= self._max_strings:
            self._known.clear()
        return self._known.setdefault(text, text)
