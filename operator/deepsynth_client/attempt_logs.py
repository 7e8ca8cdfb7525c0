"""The logs of one process of an attempt, while its pod can be read, and what is kept of them afterwards.

    attempts    of a run: status.attempts; of a generation: its Jobs, numbered as they came
    ranks       of a run: processes, several of which may share a pod; of a generation: shards, of which a Job may have
                only some

Once a pod is gone, the end of each rank's log is next to the checkpoints (deepsynth_train.launcher writes it).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deepsynth_api.logs import parse_record
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_client.entries import list_entries
from deepsynth_client.interface import Manifest, PodLog, Resources, WaitingPod

_OF_A_RANK: Final = re.compile(r"rank (\d+): ")
"""Before each line of a process in the log of its pod; other lines are the launcher's."""
_GPU: Final = "nvidia.com/gpu"


@dataclass(frozen=True)
class LoggedAttempt:
    number: int
    job: str
    culprit: int
    """The rank that failed first, else the first one."""
    first_rank: int = 0
    """Of its first pod."""


def list_attempts(resource: Manifest) -> list[LoggedAttempt]:
    """Oldest first."""
    status = resource.get("status", {})
    if resource["kind"] == "TrainingRun":
        return [
            LoggedAttempt(item["number"], item["job"], item.get("rank") or 0) for item in status.get("attempts") or []
        ]
    jobs = list_entries(status)
    failed = (status.get("lastFailure") or {}).get("index") or 0
    firsts = [int(item.get("firstShard") or 0) for item in jobs]
    return [
        LoggedAttempt(number, item["name"], failed if number == len(jobs) and failed > first else first, first)
        for number, (item, first) in enumerate(zip(jobs, firsts, strict=True), start=1)
    ]


def find_pod_logs(resources: Resources, resource: Manifest, attempt: LoggedAttempt, rank: int) -> list[PodLog]:
    """The pods that had this rank and can still be read: several after a restart of a shard."""
    index = rank // count_ranks_per_pod(resource) - attempt.first_rank
    return [log for log in resources.list_logs(resource) if log.job == attempt.job and log.index == index]


def find_waiting_pod(resources: Resources, resource: Manifest, attempt: LoggedAttempt, rank: int) -> WaitingPod | None:
    """The pod that will have this rank, while it has not started."""
    index = rank // count_ranks_per_pod(resource) - attempt.first_rank
    pods = resources.list_waiting(resource)
    return next((pod for pod in pods if pod.job == attempt.job and pod.index == index), None)


def describe_waiting(pod: WaitingPod) -> str:
    return f"pod {pod.pod} has not started: {pod.obstacle.strip() or 'no node has taken it yet'}"


def read_rank(
    resources: Resources,
    resource: Manifest,
    logs: Sequence[PodLog],
    rank: int,
    *,
    follow: bool = False,
    tail: int | None = None,
) -> Iterator[str]:
    """The lines of a rank in the logs of its pods. follow: the last pod. tail: only the last lines of each pod."""
    prefix = f"rank {rank}: "
    for log in logs:
        for line in resources.read_log(resource, log, follow=follow and log is logs[-1], tail=tail):
            if find_rank(line) in {rank, None}:
                yield line.removeprefix(prefix)


def find_rank(line: str) -> int | None:
    """Which process wrote a line of a pod's log, text or JSON; None: the launcher."""
    if (record := parse_record(line)) is not None:
        rank = record.get("rank")
        return rank if isinstance(rank, int) else None
    found = _OF_A_RANK.match(line)
    return int(found[1]) if found else None


def name_kept_log(attempt: int, rank: int) -> str:
    """The file of a rank's log in the folder of checkpoints."""
    return f"reports/attempt-{attempt}-rank-{rank}.log"


def count_ranks_per_pod(resource: Manifest) -> int:
    """numProcPerNode, which is the number of GPUs of a node by default."""
    if resource["kind"] != "TrainingRun":
        return 1
    spec = TrainingRun.model_validate(resource).spec
    limits: Any = spec.resources_per_node.limits if spec.resources_per_node else {}
    return spec.num_proc_per_node or int(limits.get(_GPU, 0)) or 1
