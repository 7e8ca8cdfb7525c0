"""Line charts as inline SVG: no script, colours from CSS variables, so that one drawing serves light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

Point = tuple[float, float]

WIDE: Final = 720
NARROW: Final = 460
"""Widths in which the text comes out at the same size: alone on a row, or two side by side."""
_HEIGHT: Final = 260
_LEFT: Final = 56
_RIGHT: Final = 16
_TOP: Final = 12
_BOTTOM: Final = 36
_MOST_POINTS: Final = 360
_MOST_DOTS: Final = 24
_LEAST_SPAN: Final = 1e-6
"""Of an axis, relative to its values: smaller differences are noise."""
_TINY: Final = 1e-9


@dataclass(frozen=True)
class Series:
    """One line. color: name of a CSS variable without its dashes. faint: a background line without legend or dots."""

    name: str
    color: str
    points: Sequence[Point]
    faint: bool = False


@dataclass(frozen=True)
class _Scale:
    """Linear map from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def build_chart(title: str, x_label: str, y_label: str, series: Sequence[Series], width: int = WIDE) -> str:
    """A figure with a legend; empty text when there is nothing to draw. x counts something: its ticks are whole."""
    drawn = [line for line in series if line.points]
    if not drawn:
        return ""
    xs = [x for line in drawn for x, _ in line.points]
    ys = [y for line in drawn for _, y in line.points]
    x_ticks, y_ticks = choose_ticks(min(xs), max(xs)), choose_ticks(min(ys), max(ys))
    x = _Scale(min(xs), max(*xs, min(xs) + 1), _LEFT, width - _RIGHT)
    y = _Scale(y_ticks[0], y_ticks[-1], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        _draw_axes(x, y, [tick for tick in x_ticks if x.low <= tick <= x.high and tick.is_integer()], y_ticks, x_label),
        *(_draw_line(line, x, y) for line in drawn),
    ]
    name = f"{title}: {_describe(drawn, y_label)}"
    legend = "".join(
        f'<li><span class="key" style="background:var(--{line.color})"></span>{escape(line.name)}</li>'
        for line in drawn
        if not line.faint
    )
    return (
        f'<figure class="chart"><figcaption><strong>{escape(title)}</strong>'
        f'<ul class="legend">{legend}</ul></figcaption>'
        f'<svg viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{escape(name, quote=True)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def choose_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that enclose low..high, about `count` of them, at least two."""
    largest = max(abs(low), abs(high))
    span = high - low
    if span <= max(largest * _LEAST_SPAN, _TINY):
        span = largest if largest > _TINY else 1.0
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, max(last, first + 1) + 1)]


def smooth(points: Sequence[Point], share: float = 0.04) -> list[Point]:
    """Exponential moving average over about `share` of the points, without the start's bias."""
    keep = 1.0 - 1.0 / max(1.0, len(points) * share)
    total = weight = 0.0
    smoothed: list[Point] = []
    for x, y in points:
        total, weight = keep * total + (1 - keep) * y, keep * weight + (1 - keep)
        smoothed.append((x, total / weight))
    return smoothed


def format_number(value: float) -> str:
    """Short: 0.0002, 1.83, 12k, 3.4M."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            divisor = 1e3 if suffix == "k" else limit
            return f"{value / divisor:.3g}{suffix}"
    return f"{value:.4g}"


def _draw_axes(x: _Scale, y: _Scale, x_ticks: Sequence[float], y_ticks: Sequence[float], x_label: str) -> str:
    rows = "".join(
        f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{y.place(tick)}" y2="{y.place(tick)}"/>'
        f'<text class="tick" x="{x.start - 8}" y="{y.place(tick) + 4}" text-anchor="end">{format_number(tick)}</text>'
        for tick in y_ticks
    )
    columns = "".join(
        f'<text class="tick" x="{x.place(tick)}" y="{y.start + 18}" text-anchor="middle">{format_number(tick)}</text>'
        for tick in x_ticks
    )
    label = f'<text class="tick" x="{x.end}" y="{y.start + 32}" text-anchor="end">{escape(x_label)}</text>'
    return rows + columns + label


def _draw_line(line: Series, x: _Scale, y: _Scale) -> str:
    points = _thin_out(line.points)
    path = " ".join(f"{x.place(a)},{y.place(b)}" for a, b in points)
    style = f"stroke:var(--{line.color})"
    drawn = f'<polyline class="{"faint" if line.faint else "line"}" style="{style}" points="{path}"/>'
    if line.faint or len(points) > _MOST_DOTS:
        return drawn
    return drawn + "".join(
        f'<circle r="3.5" cx="{x.place(a)}" cy="{y.place(b)}" style="fill:var(--{line.color})">'
        f"<title>{escape(line.name)} {format_number(b)} at {format_number(a)}</title></circle>"
        for a, b in points
    )


def _thin_out(points: Sequence[Point]) -> list[Point]:
    """Every n-th point and the last one."""
    stride = max(1, math.ceil(len(points) / _MOST_POINTS))
    return [*points[::stride], *([points[-1]] if (len(points) - 1) % stride else [])]


def _describe(series: Sequence[Series], unit: str) -> str:
    return "; ".join(
        f"{line.name} from {format_number(line.points[0][1])} to {format_number(line.points[-1][1])} {unit}".strip()
        for line in series
        if not line.faint
    )
