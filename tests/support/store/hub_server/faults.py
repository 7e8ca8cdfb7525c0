"""The faults that a test can make the server have."""

import threading
from dataclasses import dataclass, field
from typing import Literal

FaultKind = Literal["conflict", "stale", "throttle", "throttle_window", "unavailable", "lost", "cut", "refuse"]
"""conflict: 409. stale: 412. throttle: 429 with Retry-After. throttle_window: 429 with RateLimit headers.
unavailable: 503. lost: the request takes effect, then the connection closes without an answer. cut: the connection
closes in the middle of the request's body (of the answer's, for a GET). refuse: it closes before anything happens.
"""

STATUS: dict[str, tuple[int, str]] = {
    "conflict": (409, "Another commit operation is in progress. Please try again later."),
    "stale": (412, "A commit has happened since. Please refresh and try again."),
    "throttle": (429, "Too many requests"),
    "throttle_window": (429, "Too many requests"),
    "unavailable": (503, "Service unavailable"),
}


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
        if kind == "throttle":
            return {"Retry-After": str(self.seconds)}
        if kind == "throttle_window":
            return {"RateLimit": f'"api";r=0;t={self.seconds}', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
        return {}
