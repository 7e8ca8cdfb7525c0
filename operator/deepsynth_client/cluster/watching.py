"""A watch without gaps: it continues where a lost connection ended, and lists again when that version is too old."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from deepsynth_client.changes import find_changes, key_of
from deepsynth_client.cluster.api import Api, GoneError, Path
from deepsynth_client.errors import UnreachableError
from deepsynth_client.interface import LISTED, Change, Manifest

WATCH_SECONDS: Final = 300
_LATE_SECONDS: Final = 15
"""After its time, until a watch that has not ended counts as lost."""
PATIENCE_SECONDS: Final = 600.0
"""How long the API server may be away, such as during its upgrade."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0


def watch(
    api: Api,
    path: Path,
    query: Mapping[str, str],
    *,
    seconds: float | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Change]:
    """Those that exist, then every change. Raises ClientError when the API server refuses or stays away."""
    known: dict[str, Manifest] = {}
    version, is_listed = "", False
    deadline = time.monotonic() + (math.inf if seconds is None else seconds)
    lost_since: float | None = None
    delay = _FIRST_PAUSE
    while time.monotonic() < deadline:
        try:
            if not version:
                items, version = api.list_all(path, query)
                yield from find_changes(known, items)
                if not is_listed:
                    yield LISTED
                    is_listed = True
            for event in _read_events(api, path, query, version, _count_seconds(deadline)):
                lost_since, delay = None, _FIRST_PAUSE
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield from _take(known, event)
        except GoneError:
            version = ""
        except UnreachableError:
            lost_since = lost_since or time.monotonic()
            if time.monotonic() - lost_since > PATIENCE_SECONDS:
                raise
            pause(delay)
            delay = min(2 * delay, _LONGEST_PAUSE)


def _count_seconds(deadline: float) -> int:
    """How long the next connection may last: whole seconds, at least one."""
    return math.ceil(min(WATCH_SECONDS, max(1.0, deadline - time.monotonic())))


def _read_events(
    api: Api, path: Path, query: Mapping[str, str], version: str, seconds: int
) -> Iterator[dict[str, Any]]:
    options = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(seconds),
    }
    with api.stream(path, {**query, **options}, seconds=seconds + _LATE_SECONDS) as lines:
        for line in filter(None, lines):
            event = _parse(line)
            if event["type"] == "ERROR":
                status = event["object"]
                error = GoneError if status.get("code") == 410 else UnreachableError
                raise error(str(status.get("message") or "the watch failed"))
            yield event


def _parse(line: bytes) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise UnreachableError("the watch ended inside of a line") from error
    return event


def _take(known: dict[str, Manifest], event: Mapping[str, Any]) -> Iterator[Change]:
    """One event. After a lost connection, the API server may repeat what was seen."""
    resource = event["object"]
    key = key_of(resource)
    before = known.pop(key, None)
    if event["type"] == "DELETED":
        yield Change("DELETED", resource)
        return
    known[key] = resource
    if before != resource:
        yield Change("MODIFIED" if before is not None else "ADDED", resource)
