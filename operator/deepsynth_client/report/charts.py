r"""Line charts as positions: from (step, value) to pixels, ticks and labels. templates/chart.html draws them.

 _TOP    4 |                       y_ticks: round numbers around the values
           |  \__                  lines:   a path each, with dots while there are few points
         2 |     \____             x_ticks: whole numbers, because x counts steps
_BOTTOM    +----------
        _LEFT   200   400 _RIGHT
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Point = tuple[float, float]

WIDE: Final = 720
NARROW: Final = 460
"""Widths in which the text comes out at the same size: alone on a row, or two side by side."""
_HEIGHT: Final = 260
_LEFT: Final = 64
_RIGHT: Final = 16
_TOP: Final = 12
_BOTTOM: Final = 36
_MAX_POINTS: Final = 360
_MAX_DOTS: Final = 24
_MIN_RELATIVE_SPAN: Final = 1e-6
"""Of an axis, relative to its values: smaller differences are noise."""
_TINY: Final = 1e-9


@dataclass(frozen=True)
class Series:
    """One line to draw. color: name of a CSS variable without its dashes. faint: in the background, without legend."""

    name: str
    color: str
    points: Sequence[Point]
    faint: bool = False


@dataclass(frozen=True)
class Tick:
    """A label on an axis. at: pixels from the left (x) or from the top (y)."""

    at: float
    label: str


@dataclass(frozen=True)
class Dot:
    """A point of a line that shows its value as a tooltip."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Line:
    """A series in pixels. path: "x,y x,y ...", the points of an SVG polyline."""

    name: str
    color: str
    faint: bool
    path: str
    dots: Sequence[Dot]


@dataclass(frozen=True)
class Chart:
    """A drawing of width x height pixels; left, right and bottom are the borders of the plot inside it."""

    title: str
    description: str
    """For readers who do not see the drawing: where each line begins and ends."""
    x_label: str
    width: int
    height: int
    left: int
    right: int
    bottom: int
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line]
    note: str = ""


@dataclass(frozen=True)
class _Scale:
    """Linear map from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def build_chart(title: str, unit: str, series: Sequence[Series], *, width: int = WIDE, note: str = "") -> Chart | None:
    """A chart over training steps; None when there is nothing to draw. unit: of the values, for the description."""
    drawn = [line for line in series if line.points]
    if not drawn:
        return None
    xs = [x for line in drawn for x, _ in line.points]
    ys = [y for line in drawn for _, y in line.points]
    x_ticks, y_ticks = choose_ticks(min(xs), max(xs)), choose_ticks(min(ys), max(ys))
    x = _Scale(min(xs), max(*xs, min(xs) + 1), _LEFT, width - _RIGHT)
    y = _Scale(y_ticks[0], y_ticks[-1], _HEIGHT - _BOTTOM, _TOP)
    return Chart(
        title=title,
        description=_describe(drawn, unit),
        x_label="step",
        width=width,
        height=_HEIGHT,
        left=_LEFT,
        right=width - _RIGHT,
        bottom=_HEIGHT - _BOTTOM,
        x_ticks=[
            Tick(x.place(tick), format_short(tick)) for tick in x_ticks if x.low <= tick <= x.high and tick.is_integer()
        ],
        y_ticks=[Tick(y.place(tick), format_short(tick)) for tick in y_ticks],
        lines=[_place(line, x, y) for line in drawn],
        note=note,
    )


def choose_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that enclose low..high, about `count` of them, at least two: (0.2, 7.8) -> 0, 2, 4, 6, 8."""
    largest = max(abs(low), abs(high))
    span = high - low
    if span <= max(largest * _MIN_RELATIVE_SPAN, _TINY):
        span = largest if largest > _TINY else 1.0
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, max(last, first + 1) + 1)]


def smooth(points: Sequence[Point], share: float = 0.04) -> list[Point]:
    """Exponential moving average over about `share` of the points, corrected for its start at zero (as Adam does)."""
    keep = 1.0 - 1.0 / max(1.0, len(points) * share)
    total = weight = 0.0
    smoothed: list[Point] = []
    for x, y in points:
        total, weight = keep * total + (1 - keep) * y, keep * weight + (1 - keep)
        smoothed.append((x, total / weight))
    return smoothed


def format_short(value: float) -> str:
    """Four digits that fit next to an axis: 0.0002, 1.835, 12k, 3.4M."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            divisor = 1e3 if suffix == "k" else limit
            return f"{value / divisor:.3g}{suffix}"
    return f"{value:.4g}"


def _place(series: Series, x: _Scale, y: _Scale) -> Line:
    points = _thin_out(series.points)
    dots = [
        Dot(x.place(a), y.place(b), f"{series.name} {format_short(b)} at {format_short(a)}")
        for a, b in points
        if not series.faint and len(points) <= _MAX_DOTS
    ]
    path = " ".join(f"{x.place(a)},{y.place(b)}" for a, b in points)
    return Line(series.name, series.color, series.faint, path, dots)


def _thin_out(points: Sequence[Point]) -> list[Point]:
    """Every n-th point and the last one."""
    stride = max(1, math.ceil(len(points) / _MAX_POINTS))
    return [*points[::stride], *([points[-1]] if (len(points) - 1) % stride else [])]


def _describe(series: Sequence[Series], unit: str) -> str:
    return "; ".join(
        f"{line.name} from {format_short(line.points[0][1])} to {format_short(line.points[-1][1])} {unit}".strip()
        for line in series
        if not line.faint
    )
