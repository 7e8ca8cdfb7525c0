"""Text that comes from users, as Markdown in which it means nothing but itself."""

import re
from typing import Final

_SPECIAL: Final = re.compile(r"[\\`*\[\]#|<>&~$]|:(?! )|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown or HTML could read as markup within a heading. Hyphens, dots and the _ of my_pages are text."""


def escape(text: str) -> str:
    """One line for a heading, in which no character means something to Markdown or HTML."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def code(text: str) -> str:
    """A code span, also for a cell of a table."""
    text = " ".join(text.split()).replace("|", "\\|")
    return f"{_longer(text, 0)} {text} {_longer(text, 0)}" if "`" in text else f"`{text}`"


def fence(text: str, language: str) -> str:
    """A code block that the text cannot end."""
    marks = _longer(text, 2)
    return f"{marks}{language}\n{text}\n{marks}"


def _longer(text: str, length: int) -> str:
    """More backticks than `length` and than any run of them in the text."""
    return "`" * (1 + max(length, *(len(run) for run in re.findall("`+", text) or [""])))
