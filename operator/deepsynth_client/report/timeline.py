r"""Attempts or Jobs on a time line as positions: from times to pixels. templates/timeline.html draws them.

    [1 ▒▒████████]   [2 ▒███]        [3 ▒██████████    bars: faint while pods wait, then in the color of the outcome
       ╵     ╵            ╵              ╵   ╵         marks: checkpoints
    0s             30m             60m            90m  ticks: time since the first start

What has not ended yet ends where the last report does, so no clock is read here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from deepsynth_client.report.charts import WIDE, Tick
from deepsynth_client.tables import format_age

_LEFT: Final = 8
_RIGHT: Final = 32
_LANE: Final = 30
_MIN_BAR: Final = 2.0
_MIN_LABEL: Final = 8.0
"""Pixels of a bar for each character of its label."""
_MAX_TICKS: Final = 6
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


@dataclass(frozen=True)
class Span:
    """One attempt or Job. state: its outcome, or `Running`. cause: why it ended."""

    label: str
    state: str
    cause: str
    start: datetime
    running: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Mark:
    """Something that happened at one time."""

    label: str
    time: datetime


@dataclass(frozen=True)
class Bar:
    """A span in pixels. waited: the part of `width` before it ran."""

    left: float
    width: float
    waited: float
    label: str
    """Empty where it does not fit."""
    state: str
    title: str


@dataclass(frozen=True)
class Timeline:
    """A drawing of `width` pixels with one lane of bars."""

    title: str
    description: str
    width: int
    lane: int
    bars: Sequence[Bar]
    marks: Sequence[Tick]
    """Their labels are shown as tooltips."""
    ticks: Sequence[Tick]


def build_timeline(
    title: str, spans: Sequence[Span], marks: Sequence[Mark] = (), *, until: datetime | None = None
) -> Timeline | None:
    """None without spans. until: of the last report, where spans without an end reach to."""
    if not spans:
        return None
    first = min(span.start for span in spans)
    shown = [mark for mark in marks if mark.time >= first]
    times = [span.end or span.running or span.start for span in spans] + [mark.time for mark in shown]
    last = max([*times, *([until] if until and any(span.end is None for span in spans) else [])])
    seconds = max(1.0, (last - first).total_seconds())
    scale = (WIDE - _LEFT - _RIGHT) / seconds

    def place(time: datetime) -> float:
        return round(_LEFT + (time - first).total_seconds() * scale, 1)

    return Timeline(
        title=title,
        description="; ".join(_describe(span, last) for span in spans),
        width=WIDE,
        lane=_LANE,
        bars=[
            _build_bar(span, place(span.start), place(span.running or span.end or last), place(span.end or last), last)
            for span in spans
        ],
        marks=[Tick(place(mark.time), mark.label) for mark in shown],
        ticks=[Tick(round(_LEFT + second * scale, 1), format_age(second)) for second in _choose_seconds(seconds)],
    )


def _build_bar(span: Span, start: float, running: float, end: float, last: datetime) -> Bar:
    width = max(_MIN_BAR, round(end - start, 1))
    label = span.label if width >= _MIN_LABEL * len(span.label) + 4 else ""
    return Bar(start, width, min(width, max(0.0, round(running - start, 1))), label, span.state, _describe(span, last))


def _describe(span: Span, last: datetime) -> str:
    """Attempt 2: Failed after 5m (OutOfMemory: rank 3 ...)."""
    lasted = format_age(((span.end or last) - span.start).total_seconds())
    text = f"{span.label}: {span.state} {'after' if span.end else 'for'} {lasted}"
    return f"{text} ({span.cause})" if span.cause else text


def _choose_seconds(seconds: float) -> Iterator[int]:
    """Round times from 0 to `seconds`, at most _MAX_TICKS after the first."""
    days = int(seconds // (_MAX_TICKS * _STEPS[-1])) + 1
    step = next((step for step in _STEPS if seconds / step <= _MAX_TICKS), days * _STEPS[-1])
    yield from range(0, int(seconds) + 1, step)
