"""How long to wait before something is retried: the formula of all delays.

The numbers are with the callers, such as the operator's `kubernetes/api/api_server`, `controller/work_queue` and
`decisions/shared/starts`.
"""

_MAX_DOUBLINGS = 64
"""Beyond that a float overflows or the limit is reached anyway."""


def compute_delay(failures: int, *, first: float, longest: float) -> float:
    """Seconds (or any unit) to wait after this many failures in a row: `first`, doubled each time, up to `longest`.

    >>> [compute_delay(failures, first=10.0, longest=60.0) for failures in (1, 2, 3, 4, 5)]
    [10.0, 20.0, 40.0, 60.0, 60.0]
    """
    return min(first * 2.0 ** min(max(failures - 1, 0), _MAX_DOUBLINGS), longest)
