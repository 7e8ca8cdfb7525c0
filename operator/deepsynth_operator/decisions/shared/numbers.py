"""Numbers as people read them, rounded so that a status does not change when nothing happened."""

from datetime import datetime, timedelta
from typing import Final

_LONGEST_ESTIMATE: Final = timedelta(days=3650)


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
    """`now` and so many seconds; None beyond ten years, which is no estimate: the numbers are a pod's."""
    return now + timedelta(seconds=round(seconds)) if 0 <= seconds <= _LONGEST_ESTIMATE.total_seconds() else None


def compute_percentage(done: int, total: int) -> int:
    """Rounded down, so that 100 means all."""
    return min(100 * done // total, 100) if total > 0 else 0
