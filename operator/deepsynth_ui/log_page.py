"""The end of what one process printed: from its pod, else from the file that is kept next to the checkpoints."""

import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deepsynth_client.attempt_logs import (
    LoggedAttempt,
    count_ranks_per_pod,
    describe_waiting,
    find_pod_logs,
    find_waiting_pod,
    list_attempts,
    name_kept_log,
    read_rank,
)
from deepsynth_client.entries import list_entries
from deepsynth_client.errors import ClientError, InvalidError, NotFoundError
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.untrusted_files import open_inside
from deepsynth_ui.addresses import Key, get_key
from deepsynth_ui.results import ResultFiles

TAIL_LINES: Final = 500
MAX_CHARACTERS: Final = 200_000
_MAX_RANK: Final = 10**6


@dataclass(frozen=True)
class LogPage:
    """origin: where the lines come from, or why there are none. word: what ranks of this kind are called."""

    key: Key
    attempt: int
    attempts: Sequence[int]
    rank: int
    ranks: int
    """The last rank is the one before; 0 if it is unknown."""
    word: str
    origin: str
    lines: Sequence[str]


def build_log_page(resources: Resources, found: Manifest, files: ResultFiles, parameters: Mapping[str, str]) -> LogPage:
    """attempt, rank: by default those that most likely explain the state. Raises InvalidError or NotFoundError."""
    attempts = list_attempts(found)
    if not attempts:
        raise NotFoundError(f"{found['metadata']['name']} has not started a pod yet")
    number = _parse(parameters, "attempt", attempts[-1].number)
    attempt = next((item for item in attempts if item.number == number), None)
    if attempt is None:
        raise NotFoundError(f"{found['metadata']['name']} has no attempt {number}")
    rank = _parse(parameters, "rank", attempt.culprit)
    origin, lines = _read(resources, found, files, attempt, rank)
    return LogPage(
        key=get_key(found),
        attempt=number,
        attempts=[item.number for item in attempts],
        rank=rank,
        ranks=_count_ranks(found, attempt),
        word="rank" if found["kind"] == "TrainingRun" else "shard",
        origin=origin,
        lines=_clip(lines),
    )


def _read(
    resources: Resources, found: Manifest, files: ResultFiles, attempt: LoggedAttempt, rank: int
) -> tuple[str, Iterable[str]]:
    try:
        logs = find_pod_logs(resources, found, attempt, rank)
        if logs:
            lines = deque(read_rank(resources, found, logs, rank, tail=TAIL_LINES), maxlen=TAIL_LINES)
            return f"pod {logs[-1].pod}, the last {TAIL_LINES} lines", lines
        if (pod := find_waiting_pod(resources, found, attempt, rank)) is not None:
            return describe_waiting(pod), ()
        problem = "the pod is gone"
    except ClientError as error:
        problem = error.message
    folder, name = files.find_folder(found), name_kept_log(attempt.number, rank)
    try:
        if folder is not None:
            return f"{Path(name).name}, kept by the run", _read_end(folder, name)
    except OSError:
        pass  # there is none, or a link in its place: files of runs are untrusted
    return f"{problem}, and no log of it is kept here", ()


def _read_end(folder: Path, name: str) -> list[str]:
    """Its last lines. The file of a hostile run may be of any size. Raises OSError."""
    with open_inside(folder, name) as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - MAX_CHARACTERS))
        text = opened.read(MAX_CHARACTERS).decode("utf-8", errors="replace")
    return text.splitlines()[-TAIL_LINES:]


def _clip(lines: Iterable[str]) -> list[str]:
    """The last lines that fit."""
    kept: list[str] = []
    left = MAX_CHARACTERS
    for line in reversed([*lines]):
        kept.append(line[:left])
        left -= len(line) + 1
        if left <= 0:
            break
    return kept[::-1]


def _count_ranks(found: Manifest, attempt: LoggedAttempt) -> int:
    status = found["status"]
    if found["kind"] == "TrainingRun":
        item = next(item for item in status["attempts"] if item["number"] == attempt.number)
        nodes = int(item.get("nodes") or found["spec"].get("numNodes") or 1)
        return nodes * count_ranks_per_pod(found)
    job = next(item for item in list_entries(status) if item["name"] == attempt.job)
    if job["step"] != "render":
        return 1
    return attempt.first_rank + int(job.get("shards") or (status.get("plan") or {}).get("shards") or 0)


def _parse(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:9]) < _MAX_RANK and len(text) < 9):
        raise InvalidError(f"{name} must be an integer of at least 0, got {text[:40]!r}")
    return int(text)
