"""A recording of a terminal shows what commands printed, when they printed it, and loads nothing."""

import re
from pathlib import Path

import pytest
from rich.text import Text

from deepsynth_generators.recording import COLUMNS, MAX_WAIT_SECONDS, PICTURE, Line, draw, record

ROOT = Path(__file__).parents[4]


def test_commands_and_their_lines_are_recorded_in_order_with_short_waits() -> None:
    lines = list(record(["echo one; sleep 2; echo two"]))
    assert [line.text.plain for line in lines] == ["$ echo one; sleep 2; echo two", "one", "two", ""]
    times = [line.seconds for line in lines]
    assert times == sorted(times)
    assert times[2] - times[1] == pytest.approx(MAX_WAIT_SECONDS)


def test_a_command_that_fails_is_not_recorded() -> None:
    with pytest.raises(RuntimeError, match="ended with 3; run `make demo` first"):
        list(record(["exit 3"]))


def test_each_row_appears_at_its_time() -> None:
    svg = draw([Line(Text("$ one"), 0.5), Line(Text("x" * (COLUMNS + 1)), 2.0)])
    assert re.findall(r"t-line-(\d)\)\"\] { animation-delay: ([\d.]+)s", svg) == [
        ("0", "0.50"),
        ("1", "2.00"),
        ("2", "2.00"),
    ]
    assert "prefers-reduced-motion" in svg


@pytest.mark.parametrize("svg", [draw([Line(Text("$ one"), 0.5)]), (ROOT / PICTURE).read_text()])
def test_a_recording_loads_nothing(svg: str) -> None:
    assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
    assert "@font-face" not in svg
