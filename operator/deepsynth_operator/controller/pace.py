"""How often pods are polled and progress is written: less often, the more resources are at work.

    usual               a poll every `poll_seconds`, a write of mere progress every second poll
    with very many      at most MAX_POLLS reports and MAX_WRITES writes of mere progress a second, of the whole process

Namespaces share these equally. What one does not need, the others get, so a user with thousands of runs only slows
down their own. Nothing else waits: ends, failures and changes of state do not depend on progress.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import PROGRESS_POLLS

MAX_POLLS: Final = 200.0
"""A second. A poll takes about a millisecond of the one core that the process has."""
MAX_WRITES: Final = 50.0
"""A second. A small API server takes several times as many, but other clients need it too."""
_VALID_SECONDS: Final = 1.0
"""How long computed intervals are used: a thousand runs that start together change them a thousand times."""


class Pace:
    """poll_seconds: the usual interval. clock: a monotonic clock, in seconds."""

    def __init__(self, poll_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._poll_seconds, self._clock = poll_seconds, clock
        self._pods: defaultdict[str, dict[ResourceKey, int]] = defaultdict(dict)
        """By namespace and resource, without those that have none."""
        self._computed = float("-inf")
        self._polls: Mapping[str, float] = {}
        self._writes: Mapping[str, float] = {}

    def note(self, key: ResourceKey, pods: int) -> None:
        """Remember that this many pods of the resource are polled now."""
        if pods:
            self._pods[key.namespace][key] = pods
            return
        self._pods[key.namespace].pop(key, None)
        if not self._pods[key.namespace]:
            del self._pods[key.namespace]

    def get_poll_seconds(self, namespace: str) -> float:
        """Seconds between two polls of a pod."""
        self._update()
        return self._polls.get(namespace, self._poll_seconds)

    def get_progress_seconds(self, namespace: str) -> float:
        """Seconds between two writes of a resource's mere progress."""
        self._update()
        return self._writes.get(namespace, PROGRESS_POLLS * self._poll_seconds)

    def get_stretch(self, namespace: str) -> float:
        """How many times as long as usual progress is not written."""
        return self.get_progress_seconds(namespace) / (PROGRESS_POLLS * self._poll_seconds)

    def get_longest(self) -> float:
        """The maximum of `get_progress_seconds` over all namespaces."""
        self._update()
        return max(self._writes.values(), default=PROGRESS_POLLS * self._poll_seconds)

    def _update(self) -> None:
        if self._clock() < self._computed + _VALID_SECONDS:
            return
        self._computed = self._clock()
        pods = {namespace: sum(counts.values()) for namespace, counts in self._pods.items()}
        resources = {namespace: len(counts) for namespace, counts in self._pods.items()}
        self._polls = share(pods, self._poll_seconds, MAX_POLLS)
        self._writes = share(resources, PROGRESS_POLLS * self._poll_seconds, MAX_WRITES)


def share(counts: Mapping[str, int], usual: float, per_second: float) -> dict[str, float]:
    """Seconds between two turns of each member of a group, if all groups together have `per_second` turns a second.

    counts: the members of each group. Each group gets an equal part, or less if its members need no more for one turn
    in `usual` seconds; what it leaves is shared by those that are larger.
    """
    groups = sorted((count, name) for name, count in counts.items())
    seconds: dict[str, float] = {}
    for place, (count, name) in enumerate(groups):
        rate = min(count / usual, per_second / (len(groups) - place))
        per_second -= rate
        seconds[name] = count / rate
    return seconds
