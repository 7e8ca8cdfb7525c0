"""The keys that wait for a worker, and which of them is next.

Ends come first: somebody waits for them, and they free what others need. But no line starves another, and in a line
the namespaces take turns, so a user with a thousand new runs does not delay those of others.

    ending    Jobs that have ended, pods that have failed, deletions        four of seven turns while all wait
    running   everything else about resources that have started             two
    new       resources without a Job                                       one
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from enum import IntEnum
from itertools import cycle
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Urgency(IntEnum):
    """The smallest is the most urgent."""

    ENDING = 0
    RUNNING = 1
    NEW = 2


_TURNS: Final = (
    Urgency.ENDING,
    Urgency.RUNNING,
    Urgency.ENDING,
    Urgency.NEW,
    Urgency.ENDING,
    Urgency.RUNNING,
    Urgency.ENDING,
)


class WaitingKeys(Generic[Key]):
    """Each key waits once. get_group: keys of one group, such as a namespace, take one turn together."""

    def __init__(self, get_group: Callable[[Key], Hashable]) -> None:
        self._get_group = get_group
        self._added: dict[Key, float] = {}
        """The time at which each key was added, oldest first."""
        self._urgency: dict[Key, Urgency] = {}
        self._lines: dict[Urgency, OrderedDict[Hashable, OrderedDict[Key, None]]] = {
            urgency: OrderedDict() for urgency in Urgency
        }
        self._turns: Iterator[Urgency] = cycle(_TURNS)

    def __contains__(self, key: object) -> bool:
        return key in self._added

    def __len__(self) -> int:
        return len(self._added)

    @property
    def oldest(self) -> float | None:
        """When the key that waits longest was added; None if none waits."""
        return next(iter(self._added.values()), None)

    def add(self, key: Key, urgency: Urgency, now: float) -> None:
        """Let `key` wait; if it waits already, with the higher urgency of the two."""
        if key in self._added:
            if urgency >= self._urgency[key]:
                return
            self._leave_line(key)
        self._added.setdefault(key, now)
        self._urgency[key] = urgency
        self._lines[urgency].setdefault(self._get_group(key), OrderedDict())[key] = None

    def reset_times(self, now: float) -> None:
        """Count the time that the keys wait from `now`."""
        self._added = dict.fromkeys(self._added, now)

    def pop(self) -> tuple[Key, float]:
        """The key whose turn it is, and when it was added. Raises KeyError if none waits."""
        turn = next(self._turns)
        line = next((self._lines[urgency] for urgency in (turn, *Urgency) if self._lines[urgency]), None)
        if line is None:
            raise KeyError("no key is waiting")
        group, keys = next(iter(line.items()))
        key = next(iter(keys))
        self._leave_line(key)
        if group in line:
            line.move_to_end(group)
        del self._urgency[key]
        return key, self._added.pop(key)

    def _leave_line(self, key: Key) -> None:
        line, group = self._lines[self._urgency[key]], self._get_group(key)
        del line[group][key]
        if not line[group]:
            del line[group]
