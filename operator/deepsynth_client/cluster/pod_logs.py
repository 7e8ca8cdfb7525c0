"""The log of a pod, line by line; with `follow` across lost connections, without a gap and without a repeated line."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from deepsynth_client.cluster.api import Api, Path
from deepsynth_client.errors import ClientError, NotFoundError, UnreachableError

_PAUSE_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 600.0
_SILENCE_SECONDS: Final = 60.0
"""Of a log that exists already. One that is followed may be silent for hours."""


class _Position:
    """Where the log was read to. Lines have times of nanoseconds; several may have the same one."""

    def __init__(self) -> None:
        self.time = ""
        self.count = 0

    def is_new(self, time: str, seen: int) -> bool:
        """seen: how many lines of this time came before on this connection."""
        return time > self.time or (time == self.time and seen >= self.count)

    def note(self, time: str) -> None:
        self.count = self.count + 1 if time == self.time else 1
        self.time = time


def read_log(
    api: Api,
    namespace: str,
    pod: str,
    container: str,
    *,
    follow: bool,
    tail: int | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """The lines. tail: of those that exist, only the last.

    Raises ClientError: NotFoundError when the pod is gone before its first line.
    """
    position = _Position()
    lost_since: float | None = None
    while True:
        try:
            for line in _read_once(api, namespace, pod, container, position, follow=follow, tail=tail):
                lost_since = None
                yield line
            if not follow or _is_over(api, namespace, pod):
                return
        except NotFoundError:
            if not position.time:
                raise
            return
        except UnreachableError:
            lost_since = lost_since or time.monotonic()
            if not follow or time.monotonic() - lost_since > _PATIENCE_SECONDS:
                raise
        pause(_PAUSE_SECONDS)


def _read_once(
    api: Api, namespace: str, pod: str, container: str, position: _Position, *, follow: bool, tail: int | None
) -> Iterator[str]:
    query = {
        "container": container,
        "timestamps": "true",
        "follow": "true" if follow else "",
        "sinceTime": position.time,
        "tailLines": "" if tail is None or position.time else str(tail),
    }
    seen: dict[str, int] = {}
    with api.stream(Path("pods", namespace, pod, "log"), query, seconds=None if follow else _SILENCE_SECONDS) as lines:
        for line in lines:
            stamp, _, text = line.decode(errors="replace").partition(" ")
            is_new = position.is_new(stamp, seen.get(stamp, 0))
            seen[stamp] = seen.get(stamp, 0) + 1
            if is_new:
                position.note(stamp)
                yield text


def _is_over(api: Api, namespace: str, pod: str) -> bool:
    try:
        found = api.request("GET", Path("pods", namespace, pod))
    except UnreachableError:
        return False
    except ClientError:
        return True
    return found["status"].get("phase") in {"Succeeded", "Failed"}
