import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_client.report.charts import Chart, Series, build_chart, choose_ticks, format_short, smooth

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
    assert format_short(value) == text


def test_smoothing_keeps_a_constant_and_follows_a_fall() -> None:
    assert [round(y, 9) for _, y in smooth([(step, 2.0) for step in range(50)])] == [2.0] * 50
    fallen = smooth([(step, 5.0 if step < 50 else 1.0) for step in range(100)])
    assert 1.0 <= fallen[-1][1] < 1.1


def build(*series: Series) -> Chart:
    chart = build_chart("Loss", "per token", series)
    assert chart is not None
    return chart


def test_a_chart_has_the_lines_that_have_points_and_describes_them() -> None:
    line = Series("validation", "orange", [(1, 4.0), (2, 3.0), (3, 2.0)])
    chart = build(line, Series("nothing", "blue", []))

    assert chart.description == "validation from 4 to 2 per token"
    assert [drawn.name for drawn in chart.lines] == ["validation"]
    assert [dot.title for dot in chart.lines[0].dots] == [
        "validation 4 at 1",
        "validation 3 at 2",
        "validation 2 at 3",
    ]
    assert [tick.label for tick in chart.x_ticks] == ["1", "2", "3"]


def test_a_background_line_has_neither_dots_nor_a_description() -> None:
    chart = build(Series("each step", "blue", [(1, 4.0), (2, 3.0)], faint=True))

    assert (chart.description, list(chart.lines[0].dots)) == ("", [])


def test_a_long_line_is_thinned_out_and_keeps_its_end() -> None:
    points = build(Series("a", "blue", [(step, step) for step in range(10_000)])).lines[0].path.split()

    assert len(points) < 400
    assert points[-1].startswith("704")


def test_nothing_to_draw_gives_no_chart() -> None:
    assert build_chart("Loss", "", [Series("a", "blue", [])]) is None


def test_a_line_of_one_point_is_a_dot() -> None:
    assert len(build(Series("a", "blue", [(5, 0.0)])).lines[0].dots) == 1
