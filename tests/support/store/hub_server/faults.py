"""The faults that a test can make the server have."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal

FaultKind = Literal[
    "conflict",
    "stale",
    "throttle",
    "throttle_date",
    "throttle_window",
    "broken",
    "unavailable",
    "lost",
    "cut",
    "refuse",
    "late",
    "short",
    "damaged",
    "loop",
    "page",
    "list",
    "object",
    "deep",
    "binary",
    "odd_throttle",
    "odd_refusal",
]
"""conflict: 409. stale: 412. throttle: 429 with Retry-After. throttle_date: 429 with a date as Retry-After.
throttle_window: 429 with RateLimit headers. broken: 500. unavailable: 503.

lost: the request takes effect, then the connection closes without an answer. cut: the connection closes in the middle
of the request's body (of the answer's, for a GET). refuse: it closes before anything happens. late: it closes after
`Faults.delay` without an answer. short: the answer is complete by its Content-Length, but lacks its second half.
damaged: its bytes are others. loop: a redirect to the same address.

Answers that are not the Hub's, to a request that has no effect: page: HTML. list, object: JSON of another shape.
deep: 100,000 brackets. binary: JSON that is not UTF-8. odd_throttle: 429 with Retry-After and a list. odd_refusal: 502
with a list.
"""

STATUS: dict[str, tuple[int, str]] = {
    "conflict": (409, "Another commit operation is in progress. Please try again later."),
    "stale": (412, "A commit has happened since. Please refresh and try again."),
    "throttle": (429, "Too many requests"),
    "throttle_window": (429, "Too many requests"),
    "throttle_date": (429, "Too many requests"),
    "broken": (500, "Internal Error"),
    "unavailable": (503, "Service unavailable"),
}
ODD: dict[str, tuple[int, bytes, str]] = {
    "page": (200, b"<!doctype html><title>Log in to the network</title>", "text/html; charset=utf-8"),
    "list": (200, b"[1, null, {}]", "application/json"),
    "object": (200, b'{"status": "ok"}', "application/json"),
    "deep": (200, b"[" * 100_000, "application/json"),
    "binary": (200, b'{"sha": "\xff\xfe"}', "application/json"),
    "odd_throttle": (429, b"[1]", "application/json"),
    "odd_refusal": (502, b"[1]", "application/json"),
}
"""Status, body and type of answers that are not the Hub's."""


@dataclass
class _Planned:
    route: str
    kind: FaultKind
    times: int
    skip: int


@dataclass
class Faults:
    """Planned faults, in order."""

    seconds: int = 1
    delay: float = 1.0
    _planned: list[_Planned] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, route: str, kind: FaultKind, times: int, skip: int) -> None:
        self._planned.append(_Planned(route, kind, times, skip))

    def clear(self) -> None:
        self._planned.clear()

    def take(self, route: str) -> FaultKind | None:
        """The fault for this request; it is used up."""
        with self._lock:
            for planned in self._planned:
                if planned.route not in {route, "*"} or planned.times == 0:
                    continue
                if planned.skip:
                    planned.skip -= 1
                    continue
                planned.times -= 1
                return planned.kind
        return None

    def headers(self, kind: FaultKind) -> dict[str, str]:
        if kind in {"throttle", "odd_throttle"}:
            return {"Retry-After": str(self.seconds)}
        if kind == "throttle_date":
            now = datetime.now(UTC)
            return {
                "Date": format_datetime(now, usegmt=True),
                "Retry-After": format_datetime(now + timedelta(seconds=self.seconds), usegmt=True),
            }
        if kind == "throttle_window":
            return {"RateLimit": f'"api";r=0;t={self.seconds}', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
        return {}
