"""How long an HTTP server asks its clients to wait."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def parse_asked_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """From `RateLimit: "api";r=0;t=55` (nothing remaining, 55 s to the next window), `Retry-After: 55`, or
    `Retry-After: Wed, 21 Oct 2026 07:28:00 GMT`.

    now: default: the server's own clock (`Date`), else the clock of this machine.
    """
    if match := re.search(r"\br=0\b.*\bt=(\d+)", headers.get("ratelimit", ""), re.ASCII):
        return float(match.group(1))
    after = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+", after, re.ASCII):
        return float(after)
    if (until := _parse_date(after)) is None:
        return None
    now = now or _parse_date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _parse_date(text: str) -> datetime | None:
    """A date of HTTP (RFC 9110, 5.6.7); None if it is not one."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
