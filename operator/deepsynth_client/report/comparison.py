"""The page of `deepsynth compare`: the curves of several runs in one chart, and tables of what differs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from deepsynth_client.report.charts import NARROW, WIDE, Chart, Series, build_chart, smooth
from deepsynth_client.report.page import render
from deepsynth_client.report.results import Curves
from deepsynth_client.report.sections import Table

COLORS: Final = ("blue", "orange", "violet", "green")
"""More runs begin again with the first."""


@dataclass(frozen=True)
class Comparison:
    """names: of the runs. Each row of settings and results has a name and then a cell for each run."""

    names: Sequence[str]
    settings: Sequence[Sequence[str]]
    results: Sequence[Sequence[str]]
    curves: Sequence[Curves]


def build_comparison_page(comparison: Comparison, place: str, now: datetime) -> str:
    tables = [
        Table("Results", ["", *comparison.names], comparison.results),
        Table("Settings that differ", ["", *comparison.names], comparison.settings),
    ]
    charts = build_charts(comparison)
    return render("comparison.html", names=comparison.names, tables=tables, charts=charts, place=place, now=now)


def build_charts(comparison: Comparison) -> list[Chart]:
    """Those that have a curve of at least one run."""
    wanted = [
        ("Training loss", "per label token", "loss", WIDE),
        ("Validation loss", "per label token", "validation_loss", NARROW),
        ("CER", "share of the reference", "validation_cer", NARROW),
        ("Throughput", "samples per second", "samples_per_second", NARROW),
    ]
    charts = (
        build_chart(title, unit, _build_lines(comparison, name), width=width) for title, unit, name, width in wanted
    )
    return [chart for chart in charts if chart is not None]


def _build_lines(comparison: Comparison, name: str) -> list[Series]:
    lines = []
    for index, (run, curves) in enumerate(zip(comparison.names, comparison.curves, strict=True)):
        points = getattr(curves, name)
        lines.append(Series(run, COLORS[index % len(COLORS)], smooth(points) if name == "loss" else points))
    return lines
