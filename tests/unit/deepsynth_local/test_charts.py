import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_local.report.charts import Series, build_chart, choose_ticks, format_number, smooth

numbers = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


@given(numbers, numbers)
def test_ticks_enclose_the_values_and_are_few(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    ticks = choose_ticks(low, high)

    assert 2 <= len(ticks) <= 12
    slack = 1e-6 * max(abs(low), abs(high), 1.0)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack


def test_ticks_are_round() -> None:
    assert choose_ticks(0.2, 7.8) == [0, 2, 4, 6, 8]
    assert choose_ticks(1, 400) == [0, 100, 200, 300, 400]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0002, "0.0002"), (1.834567, "1.835"), (12000, "12k"), (3_400_000, "3.4M"), (400, "400")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert format_number(value) == text


def test_smoothing_keeps_a_constant_and_follows_a_fall() -> None:
    assert [round(y, 9) for _, y in smooth([(step, 2.0) for step in range(50)])] == [2.0] * 50
    fallen = smooth([(step, 5.0 if step < 50 else 1.0) for step in range(100)])
    assert 1.0 <= fallen[-1][1] < 1.1


def test_a_chart_is_one_drawing_with_a_legend_and_a_description() -> None:
    line = Series("validation <x>", "orange", [(1, 4.0), (2, 3.0), (3, 2.0)])
    chart = build_chart("Loss", "step", "per token", [line, Series("nothing", "blue", [])])

    tree = ET.fromstring(chart)  # noqa: S314 - our own text
    assert tree.find("svg") is not None
    assert len(tree.findall(".//circle")) == 3
    assert "validation &lt;x&gt; from 4 to 2 per token" in chart
    assert "nothing" not in chart


def test_a_long_line_is_thinned_out_and_keeps_its_end() -> None:
    chart = build_chart("Loss", "step", "", [Series("a", "blue", [(step, step) for step in range(10_000)])])

    points = re.findall(r'points="([^"]*)"', chart)[0].split()
    assert len(points) < 400
    assert points[-1].startswith("704")


def test_nothing_to_draw_gives_no_chart() -> None:
    assert build_chart("Loss", "step", "", [Series("a", "blue", [])]) == ""


def test_a_line_of_one_point_is_drawn() -> None:
    assert "<circle" in build_chart("Loss", "step", "", [Series("a", "blue", [(5, 0.0)])])
