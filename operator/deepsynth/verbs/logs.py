"""`deepsynth logs`: what one process of an attempt printed, while its pod runs and after it is gone.

    attempts    of a run: status.attempts; of a generation: its Jobs, numbered as they came
    ranks       of a run: processes, several of which may share a pod; of a generation: shards

Once a pod is gone, the end of each rank's log is next to the checkpoints (deepsynth_train.launcher writes it).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from deepsynth.verbs.names import format_short_name
from deepsynth.verbs.waiting import follow
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_client.errors import InvalidError, NotFoundError
from deepsynth_client.interface import Manifest, PodLog, Resources

_OF_A_RANK: Final = re.compile(r"rank \d+: ")
"""Before each line of a process in the log of its pod; other lines are the launcher's."""
GPU: Final = "nvidia.com/gpu"
Say = Callable[[str], None]


@dataclass(frozen=True)
class LogQuery:
    """attempt and rank: None for the one that most likely explains the state."""

    attempt: int | None = None
    previous: bool = False
    rank: int | None = None
    follow: bool = False


@dataclass(frozen=True)
class _Attempt:
    number: int
    job: str
    culprit: int
    """The rank that failed first, else 0."""


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
    resources: Resources, resource: Manifest, attempt: _Attempt, query: LogQuery, say: Say
) -> Iterator[str]:
    rank = attempt.culprit if query.rank is None else query.rank
    per_pod = count_ranks_per_pod(resource)
    logs = [log for log in resources.list_logs(resource) if log.job == attempt.job and log.index == rank // per_pod]
    say(
        f"{format_short_name(resource)}, attempt {attempt.number}, rank {rank}"
        + (f", pod {logs[-1].pod}" if logs else "")
    )
    if not logs:
        yield from _read_kept(resources, resource, attempt, rank)
        return
    prefix = f"rank {rank}: "
    for line in _read_pod(resources, resource, logs, is_followed=query.follow):
        if line.startswith(prefix) or not _OF_A_RANK.match(line):
            yield line.removeprefix(prefix)


def _read_pod(resources: Resources, resource: Manifest, logs: list[PodLog], *, is_followed: bool) -> Iterator[str]:
    """All pods that had this index, as after a restart of a shard; the last one is followed."""
    for log in logs:
        yield from resources.read_log(resource, log, follow=is_followed and log is logs[-1])


def _read_kept(resources: Resources, resource: Manifest, attempt: _Attempt, rank: int) -> Iterator[str]:
    uri = (resource["spec"].get("checkpoint") or {}).get("uri")
    name = f"reports/attempt-{attempt.number}-rank-{rank}.log"
    folder = resources.open_files(resource).fetch(uri, [name]) if uri else None
    if folder is None or not (folder / name).is_file():
        where = f" and {uri}/{name} does not exist" if uri else ""
        raise NotFoundError(
            f"{format_short_name(resource)}: the pod of attempt {attempt.number}, rank {rank} is gone{where}; "
            f"`deepsynth describe {format_short_name(resource)}` shows why it ended"
        )
    yield from (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()


def _choose(resource: Manifest, query: LogQuery) -> _Attempt:
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


def list_attempts(resource: Manifest) -> list[_Attempt]:
    """Oldest first."""
    status = resource.get("status", {})
    if resource["kind"] == "TrainingRun":
        return [_Attempt(item["number"], item["job"], item.get("rank") or 0) for item in status.get("attempts") or []]
    failed = (status.get("lastFailure") or {}).get("index") or 0
    jobs = [*enumerate(status.get("jobs") or [], start=1)]
    return [_Attempt(number, item["name"], failed if number == len(jobs) else 0) for number, item in jobs]


def count_ranks_per_pod(resource: Manifest) -> int:
    """numProcPerNode, which is the number of GPUs of a node by default."""
    if resource["kind"] != "TrainingRun":
        return 1
    spec = TrainingRun.model_validate(resource).spec
    limits: Any = spec.resources_per_node.limits if spec.resources_per_node else {}
    return spec.num_proc_per_node or int(limits.get(GPU, 0)) or 1


def _wait_for_next(resources: Resources, resource: Manifest, attempt: _Attempt) -> tuple[Manifest, _Attempt] | None:
    """The resource with its next attempt, once that has a log; None when there will be none."""
    try:
        for latest in follow(resources, resource):
            newest = list_attempts(latest)[-1]
            if newest.number > attempt.number and any(log.job == newest.job for log in resources.list_logs(latest)):
                return latest, newest
            if latest["status"].get("completionTime") or latest["status"].get("state") == "Suspended":
                return None
    except NotFoundError:
        return None
    return None
