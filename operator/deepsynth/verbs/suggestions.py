"""What a mistyped word of the command line was meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggest(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """The nearest known name as `did you mean NAME?`; where none is near, what can be chosen."""
    names = list(known)
    near = get_close_matches(word, names, n=1)
    return f"did you mean {near[0]}?" if near else otherwise or f"choose from {', '.join(names)}"
