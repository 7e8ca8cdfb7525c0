"""Directions of a paragraph, compared with Unicode's own test cases."""

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_render.page.scripts.bidi import MAX_DEPTH, resolve

SAMPLE = Path("tests/fixtures/scripts/bidi_character_test.txt")
WHOLE = Path(os.environ.get("UNICODE_DATA", "/usr/share/unicode"), "BidiCharacterTest.txt")
"""All 91,000 cases, as the Debian package unicode-data installs them."""


def read_cases(path: Path) -> Iterator[tuple[str, int | None, int, list[str]]]:
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            codepoints, asked, base, levels, _ = line.split(";")
            text = "".join(chr(int(codepoint, 16)) for codepoint in codepoints.split())
            yield text, {"0": 0, "1": 1}.get(asked), int(base), levels.split()


def check_cases(path: Path) -> int:
    count = 0
    for text, asked, base, levels in read_cases(path):
        found = resolve(text, asked)
        shown = ["x" if level == "x" else str(ord(own)) for level, own in zip(levels, found.levels, strict=True)]
        assert (found.base, shown) == (base, levels), ascii(text)
        count += 1
    return count


def test_levels_are_those_of_the_test_cases_of_unicode() -> None:
    assert check_cases(SAMPLE) > 700


@pytest.mark.skipif(not WHOLE.exists(), reason="needs unicode-data, or its folder in UNICODE_DATA")
def test_levels_are_those_of_all_test_cases_of_unicode() -> None:
    assert check_cases(WHOLE) > 90_000


@pytest.mark.parametrize(
    ("text", "base", "levels"),
    [
        ("abc", 0, "000"),
        ("\u05d0\u05d1 1.5", 1, "111222"),
        ("a (\u05d0) b", 0, "0001000"),
        ("\u05d0 (a) \u05d1", 1, "1112111"),
        ("\u0645 12,5", 1, "112222"),
        ("1 \u05d0", 1, "211"),
        ("", 0, ""),
    ],
)
def test_levels_of_short_texts(text: str, base: int, levels: str) -> None:
    found = resolve(text)
    assert (found.base, "".join(str(ord(level)) for level in found.levels)) == (base, levels)


@given(st.text("a1 \u05d0\u0645\u0661,$\u0301(]\u202a\u202b\u202c\u202e\u2066\u2067\u2068\u2069", max_size=40))
def test_any_paragraph_gets_a_level_for_each_character(text: str) -> None:
    base, levels = resolve(text)
    assert len(levels) == len(text)
    assert all(base <= ord(level) <= MAX_DEPTH + 1 for level in levels)


def test_deep_embeddings_end_at_the_limit_of_the_algorithm() -> None:
    levels = resolve("\u202b" * 200 + "a" + "\u202c" * 200 + "b").levels
    assert ord(levels[200]) == MAX_DEPTH + 1
    assert ord(levels[-1]) == 0


@pytest.mark.parametrize(
    "unit",
    [
        "\u2068",
        "\u2067a\u2069",
        "\u202b",
        "(\u05d0)",
        "a(\u05d0)",
        "\u0628\u200c",
        "[",
        "1\u05d0",
        "\u2068\u05d0\u2069a",
        "a\u0301\u200d",
    ],
)
def test_the_time_for_a_long_paragraph_grows_with_its_length_only(unit: str) -> None:
    """CPU time, because other programs may take turns; ten times the text may take thirty times as long.

    Without the garbage collector, whose time grows with everything that the tests before this one left behind.
    """

    def measure(text: str) -> float:
        started = time.process_time()
        resolve("\u05d0" + text)
        return time.process_time() - started

    gc.collect()
    gc.disable()
    try:
        short, long = (min(measure(unit * (count // len(unit))) for _ in range(3)) for count in (4_000, 40_000))
    finally:
        gc.enable()
    assert long < 30 * max(short, 0.005)
