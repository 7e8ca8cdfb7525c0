"""How long to wait before a call to a server is repeated, and when to give up. Pure."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

from deepsynth_api.delays import compute_delay


class Fault(Enum):
    """Why a call may be repeated. `describe` is shown in status while the call waits."""

    CONFLICT = "another writer was faster"
    THROTTLED = "{server}'s rate limit is reached"
    UNAVAILABLE = "{server} does not answer"
    UNREACHABLE = "{server} cannot be reached"
    """No connection was ever made: more often a wrong address or a closed network than an outage."""
    UNTRUSTED = "{server}'s certificate is not trusted"
    """No connection was ever made: a private authority whose certificate is not in SSL_CERT_FILE."""
    CREDENTIALS = "the credentials for {server} cannot be fetched"
    """The server that hands them out may start a moment later than this process, and may be missing for good."""
    UNREADABLE = "{server}'s answer cannot be understood"
    """A proxy or another server answered, or the server's client fails on what it got."""

    def describe(self, server: str) -> str:
        """server: such as `the Hub`."""
        return self.value.format(server=server)


@dataclass(frozen=True)
class _Limits:
    """Give up after max_tries failures. Pauses start at first_seconds and are doubled up to max_seconds."""

    max_tries: int
    first_seconds: float
    max_seconds: float


_LIMITS: Final = {
    Fault.CONFLICT: _Limits(max_tries=60, first_seconds=1.0, max_seconds=30.0),
    Fault.THROTTLED: _Limits(max_tries=30, first_seconds=30.0, max_seconds=300.0),
    Fault.UNAVAILABLE: _Limits(max_tries=12, first_seconds=1.0, max_seconds=60.0),
    Fault.UNREADABLE: _Limits(max_tries=12, first_seconds=1.0, max_seconds=60.0),
    Fault.UNREACHABLE: _Limits(max_tries=4, first_seconds=0.7, max_seconds=3.0),
    Fault.UNTRUSTED: _Limits(max_tries=4, first_seconds=0.7, max_seconds=3.0),
    Fault.CREDENTIALS: _Limits(max_tries=6, first_seconds=1.0, max_seconds=4.0),
}
NO_CONNECTION: Final = frozenset({Fault.UNREACHABLE, Fault.UNTRUSTED, Fault.CREDENTIALS})
"""Of a server that has never answered, these are given up soon."""
TRUST_REMEDY: Final = (
    "; set SSL_CERT_FILE in spec.template.env to a file with the certificate of its authority, mounted by "
    "spec.template.volumes"
)
_MAX_ASKED_SECONDS: Final = 3600.0
_MAX_SPENT_SECONDS: Final = {Fault.UNREACHABLE: 5.0, Fault.UNTRUSTED: 5.0, Fault.CREDENTIALS: 20.0}


def compute_pause(
    fault: Fault, tries: int, asked_seconds: float | None, jitter: float, spent_seconds: float = 0.0
) -> float | None:
    """Seconds to wait after the `tries`-th failure of this kind (1 for the first), or None to give up.

    asked_seconds: what the server asks for (Retry-After). jitter: uniform in [0, 1), so that writers that collided
    once do not collide again. spent_seconds: since the first try, because a connection may take long to fail.
    """
    limits = _LIMITS[fault]
    if tries >= limits.max_tries:
        return None
    if spent_seconds >= _MAX_SPENT_SECONDS.get(fault, math.inf):
        return None
    if asked_seconds is not None:
        return asked_seconds + 1 + jitter if asked_seconds <= _MAX_ASKED_SECONDS else None
    delay = compute_delay(tries, first=limits.first_seconds, longest=limits.max_seconds)
    return delay * (0.5 + jitter / 2)
