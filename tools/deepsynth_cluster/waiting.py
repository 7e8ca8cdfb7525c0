"""Waiting for something to become true, with an end."""

import time
from collections.abc import Callable

from deepsynth_cluster.cache import ClusterError


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 120.0, every: float = 0.2) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(every)
