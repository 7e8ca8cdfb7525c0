"""The spell checker of `make check` finds every word and phrase of our own list."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
AVOIDED = [line.partition("->")[0] for line in (ROOT / ".codespell/words.txt").read_text().splitlines()]


@pytest.mark.parametrize("avoided", AVOIDED)
def test_codespell_finds_an_avoided_word_or_phrase(avoided: str) -> None:
    """codespell looks up what its `regex` finds: a phrase that is missing there would never be reported."""
    regex = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["codespell"]["regex"]
    text = f"KEPT = {avoided.upper()}" if avoided.endswith("_") else f"It is {avoided}, or so."
    assert avoided in [found.lower() for found in re.findall(regex, text)]
