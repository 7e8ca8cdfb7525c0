"""`deepsynth wait`: until a resource has ended, or a condition holds. Also the progress bar of notebooks."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from deepsynth.verbs.names import find_all, format_short_name
from deepsynth_client.errors import ClientError, CommandExit, InvalidError, NotFoundError, TimedOutError
from deepsynth_client.interface import Manifest, Resources, Selection
from deepsynth_client.progress import describe_progress, get_percentage, has_ended

SILENCE_SECONDS: Final = 30.0
"""After which a new resource without a status is reported."""
_PART: Final = re.compile(r"(\d+)([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LINE_EVERY_PERCENT: Final = 10

END: Final = "end"
DELETION: Final = "delete"

Goal = Callable[[Manifest], bool]
OnChange = Callable[[Manifest], None]


def parse_duration(text: str) -> float:
    """90, 90s, 5m, 2h30m, 1d -> seconds. Raises ValueError."""
    if text.isdigit():
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        raise ValueError(f"must be a duration such as 90s, 5m or 2h30m, got {text!r}")
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts))


def parse_goal(text: str) -> Goal:
    """What --for means: end, state=STATE, condition=TYPE or condition=TYPE=STATUS. Raises InvalidError."""
    word, _, rest = text.partition("=")
    if text == END:
        return has_ended
    if word == "state" and rest:
        return lambda resource: str(resource.get("status", {}).get("state", "")).lower() == rest.lower()
    if word == "condition" and rest:
        kind, _, status = rest.partition("=")
        return lambda resource: _find_status(resource, kind) == (status or "True").lower()
    raise InvalidError(
        f"--for: must be end, delete, state=STATE, condition=TYPE or condition=TYPE=STATUS, got {text!r}"
    )


def wait_for_all(
    resources: Resources, words: Sequence[str], goal: str, seconds: float | None, say: Callable[[str], None]
) -> CommandExit:
    """Wait for each resource that is named; returns the worst exit code. say: gets progress and results."""
    deadline = None if seconds is None else time.monotonic() + seconds
    codes, reached = [CommandExit.DONE], None if goal == DELETION else parse_goal(goal)
    for resource in find_all(resources, words):
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if reached is None:
            wait_for_deletion(resources, resource, seconds=left)
            continue
        done = wait_for(resources, resource, reached, seconds=left, on_change=ProgressLines(say), on_silence=say)
        if goal == END:
            line, code = conclude(done)
            say(line)
            codes.append(code)
    return max(codes)


def wait_for(
    resources: Resources,
    resource: Manifest,
    goal: Goal,
    *,
    seconds: float | None = None,
    on_change: OnChange = lambda _: None,
    on_silence: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """The resource once `goal` holds. Raises TimedOutError, NotFoundError when it is deleted, ClientError when it ends.

    on_change: called with each state of the resource. on_silence: called once if nobody works on it.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    is_silent = not _is_seen(resource)
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        slice_ = min(SILENCE_SECONDS, left if left is not None else SILENCE_SECONDS) if is_silent else left
        for latest in follow(resources, resource, seconds=slice_):
            resource, is_silent = latest, is_silent and not _is_seen(latest)
            on_change(resource)
            if goal(resource):
                return resource
            if has_ended(resource):
                raise ClientError(f"{conclude(resource)[0]}; what you wait for does not happen any more")
        if deadline is not None and time.monotonic() >= deadline:
            raise TimedOutError(
                f"{format_short_name(resource)}: timed out: {describe_progress(resource, datetime.now(UTC))}"
            )
        if is_silent:
            on_silence(f"{format_short_name(resource)}: {resources.explain_silence()}")
            is_silent = False


def wait_for_deletion(resources: Resources, resource: Manifest, *, seconds: float | None = None) -> None:
    try:
        for _ in follow(resources, resource, seconds=seconds):
            pass
    except NotFoundError:
        return
    raise TimedOutError(f"{format_short_name(resource)}: timed out: it still exists")


def follow(resources: Resources, resource: Manifest, *, seconds: float | None = None) -> Iterator[Manifest]:
    """The resource as it is, then after each change. Raises NotFoundError when it is gone."""
    metadata = resource["metadata"]
    gone = NotFoundError(f"{format_short_name(resource)} was deleted")
    is_there = False
    selection = Selection(fields=f"metadata.name={metadata['name']}")
    for change in resources.watch(resource["kind"], selection, seconds=seconds):
        if change.type == "LISTED":
            if not is_there:
                raise gone
        elif change.resource["metadata"].get("uid") == metadata.get("uid"):
            if change.type == "DELETED":
                raise gone
            is_there = True
            yield change.resource


def conclude(resource: Manifest) -> tuple[str, CommandExit]:
    """How a resource has ended: a line and the exit code."""
    status = resource.get("status", {})
    conditions = {item["type"]: item for item in status.get("conditions") or []}
    state = status.get("state", "Pending")
    message = conditions.get("Failed" if state == "Failed" else "Complete", {}).get("message", "")
    line = f"{format_short_name(resource)} is {state}" + (f": {message}" if message else "")
    return line, CommandExit.FAILED if state == "Failed" else CommandExit.DONE


class ProgressLines:
    """A line when the state changes and every ten percent."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._shown: tuple[object, ...] | None = None

    def __call__(self, resource: Manifest) -> None:
        status = resource.get("status", {})
        seen = (status.get("state"), status.get("restarts"), get_percentage(resource) // _LINE_EVERY_PERCENT)
        if seen != self._shown:
            self._shown = seen
            self._show(f"{format_short_name(resource)}: {describe_progress(resource, datetime.now(UTC))}")


def _is_seen(resource: Manifest) -> bool:
    return int(resource.get("status", {}).get("observedGeneration", -1)) >= 0


def _find_status(resource: Manifest, kind: str) -> str:
    conditions = resource.get("status", {}).get("conditions") or []
    statuses = {item["type"].lower(): item["status"].lower() for item in conditions}
    return str(statuses.get(kind.lower(), ""))
