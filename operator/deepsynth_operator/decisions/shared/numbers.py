"""Numbers for users, rounded so that a status only changes when something happened, and sums that the API can store."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.report_bounds import MAX_NUMBER

_MAX_ESTIMATE: Final = timedelta(days=3650)


def format_number(value: float | None) -> str:
    """Three significant digits: 1.83, 0.0002, 12.4, 1260. Empty for None."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def format_duration(duration: timedelta) -> str:
    """As kubectl prints ages: 45s, 12m, 2h5m, 3d4h."""
    seconds = max(int(duration.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 100:
        return f"{minutes}m"
    if hours < 48:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"


def estimate_end(seconds: float, now: datetime) -> datetime | None:
    """`now` plus `seconds`; None if negative or beyond ten years: the number comes from a pod, which is not trusted."""
    return now + timedelta(seconds=round(seconds)) if 0 <= seconds <= _MAX_ESTIMATE.total_seconds() else None


def compute_percentage(done: int, total: int) -> int:
    """Rounded down, so that 100 means all."""
    return max(min(100 * done // total, 100), 0) if total > 0 else 0


def sum_counts(counts: Iterable[int]) -> int:
    """The sum, at most MAX_NUMBER: thousands of shards may each report an absurd number, and the API has 64 bits."""
    return max(min(sum(counts), MAX_NUMBER), -MAX_NUMBER)


def format_eta(end: datetime | None, updated: datetime | None) -> str:
    """Time left as of the last update, so that the text only changes with an update. Empty when unknown."""
    return format_duration(end - updated) if end is not None and updated is not None else ""
