"""How long to wait before a call is tried again, and when to give up. Pure."""

from enum import Enum
from typing import Final

from deepsynth_api.delays import compute_delay


class Fault(Enum):
    """Why a call may be tried again."""

    CONFLICT = "another writer was faster"
    THROTTLED = "the Hub's rate limit is reached"
    UNAVAILABLE = "the Hub does not answer"
    UNREACHABLE = "the Hub cannot be reached"
    """No connection has ever been made: more often a wrong address or a closed network than an outage."""


_MAX_TRIES: Final = {Fault.CONFLICT: 60, Fault.THROTTLED: 30, Fault.UNAVAILABLE: 8, Fault.UNREACHABLE: 4}
_FIRST_SECONDS: Final = {Fault.CONFLICT: 1.0, Fault.THROTTLED: 30.0, Fault.UNAVAILABLE: 1.0, Fault.UNREACHABLE: 0.7}
_LONGEST_SECONDS: Final = {
    Fault.CONFLICT: 30.0,
    Fault.THROTTLED: 300.0,
    Fault.UNAVAILABLE: 60.0,
    Fault.UNREACHABLE: 3.0,
}
_LONGEST_ASKED_SECONDS: Final = 3600.0
_LONGEST_UNREACHABLE_SECONDS: Final = 5.0


def compute_pause(
    fault: Fault, tries: int, asked_seconds: float | None, jitter: float, spent_seconds: float = 0.0
) -> float | None:
    """Seconds to wait after the `tries`-th failure of this kind (1 for the first), or None to give up.

    asked_seconds: what the server asked for (Retry-After). jitter: uniform in [0, 1), so that writers who
    collided once do not collide again. spent_seconds: since the first try; connections may take long to fail.
    """
    if tries >= _MAX_TRIES[fault]:
        return None
    if fault is Fault.UNREACHABLE and spent_seconds >= _LONGEST_UNREACHABLE_SECONDS:
        return None
    if asked_seconds is not None:
        return asked_seconds + 1 + jitter if asked_seconds <= _LONGEST_ASKED_SECONDS else None
    delay = compute_delay(tries, first=_FIRST_SECONDS[fault], longest=_LONGEST_SECONDS[fault])
    return delay * (0.5 + jitter / 2)
