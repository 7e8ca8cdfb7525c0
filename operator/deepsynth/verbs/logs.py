"""`deepsynth logs`: what one process of an attempt printed, while its pod runs and after it is gone.

What attempts and ranks are: deepsynth_client/attempt_logs.py.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from deepsynth.verbs.names import format_short_name
from deepsynth.verbs.waiting import follow
from deepsynth_client.attempt_logs import (
    LoggedAttempt,
    describe_waiting,
    find_pod_logs,
    find_waiting_pod,
    list_attempts,
    name_kept_log,
    read_rank,
)
from deepsynth_client.errors import InvalidError, NotFoundError
from deepsynth_client.interface import Manifest, Resources, WaitingPod
from deepsynth_client.progress import has_ended

Say = Callable[[str], None]
POLL_SECONDS: Final = 1.0


@dataclass(frozen=True)
class LogQuery:
    """attempt and rank: None for the one that most likely explains the state."""

    attempt: int | None = None
    previous: bool = False
    rank: int | None = None
    follow: bool = False


def read_logs(resources: Resources, resource: Manifest, query: LogQuery, say: Say) -> Iterator[str]:
    """The lines. say: gets a line about what is shown, and about each further attempt that is followed.

    Raises NotFoundError when there is no such attempt or its log is gone.
    """
    attempt = _choose(resource, query)
    yield from _read_attempt(resources, resource, attempt, query, say)
    while query.follow and (found := _wait_for_next(resources, resource, attempt)) is not None:
        resource, attempt = found
        yield from _read_attempt(resources, resource, attempt, query, say)


def _read_attempt(
    resources: Resources, resource: Manifest, attempt: LoggedAttempt, query: LogQuery, say: Say
) -> Iterator[str]:
    rank = attempt.culprit if query.rank is None else query.rank
    head = f"{format_short_name(resource)}, attempt {attempt.number}, rank {rank}"
    logs = find_pod_logs(resources, resource, attempt, rank)
    if not logs:
        has_waited = _wait_for_start(
            lambda: find_waiting_pod(resources, resource, attempt, rank), head, say, follows=query.follow
        )
        logs = find_pod_logs(resources, resource, attempt, rank) if has_waited else []
        if has_waited and not logs:  # it has gone away before it started
            return
    say(head + (f", pod {logs[-1].pod}" if logs else ""))
    if logs:
        yield from read_rank(resources, resource, logs, rank, follow=query.follow)
    else:
        yield from _read_kept(resources, resource, attempt, rank)


def _wait_for_start(find: Callable[[], WaitingPod | None], head: str, say: Say, *, follows: bool) -> bool:
    """Wait while `find` has a pod that has not started; whether it had one. Raises NotFoundError if nobody follows."""
    said = ""
    while (pod := find()) is not None:
        line = f"{head}: {describe_waiting(pod)}"
        if not follows:
            raise NotFoundError(line)
        if line != said:
            say(f"{line}; waiting for it")
            said = line
        time.sleep(POLL_SECONDS)
    return bool(said)


def _read_kept(resources: Resources, resource: Manifest, attempt: LoggedAttempt, rank: int) -> Iterator[str]:
    uri = (resource["spec"].get("checkpoint") or {}).get("uri")
    name = name_kept_log(attempt.number, rank)
    problem = f" and {uri}/{name} does not exist" if uri else ""
    folder = None
    try:
        folder = resources.open_files(resource).fetch(uri, [name]) if uri else None
    except NotFoundError as error:
        problem = f" and {error.message}"
    if folder is None or not (folder / name).is_file():
        raise NotFoundError(
            f"{format_short_name(resource)}: the pod of attempt {attempt.number}, rank {rank} is gone{problem}; "
            f"`deepsynth describe {format_short_name(resource)}` shows why it ended"
        )
    yield from (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()


def _choose(resource: Manifest, query: LogQuery) -> LoggedAttempt:
    attempts = list_attempts(resource)
    name = format_short_name(resource)
    if not attempts:
        raise NotFoundError(f"{name} has not started a pod yet; `deepsynth describe {name}` shows what it waits for")
    if query.previous and query.attempt is not None:
        raise InvalidError("--previous: cannot be used with --attempt; remove one of them")
    if query.previous and len(attempts) < 2:
        raise NotFoundError(f"{name} has had one attempt only")
    if query.attempt is None:
        return attempts[-2 if query.previous else -1]
    found = next((attempt for attempt in attempts if attempt.number == query.attempt), None)
    if found is None:
        known = ", ".join(str(attempt.number) for attempt in attempts)
        raise NotFoundError(f"{name} has no attempt {query.attempt}; the status has {known}")
    return found


def _wait_for_next(
    resources: Resources, resource: Manifest, attempt: LoggedAttempt
) -> tuple[Manifest, LoggedAttempt] | None:
    """The resource with its next attempt, once that has a log; None when there will be none."""
    try:
        for latest in follow(resources, resource):
            newest = list_attempts(latest)[-1]
            if newest.number > attempt.number and any(log.job == newest.job for log in resources.list_logs(latest)):
                return latest, newest
            if has_ended(latest) or latest["status"].get("state") == "Suspended":
                return None
    except NotFoundError:
        return None
    return None
