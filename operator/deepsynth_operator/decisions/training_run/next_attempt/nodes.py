"""Nodes that the next attempt avoids: those on which an earlier attempt failed in a way that points to hardware.

    Hung, and the rank is known        the node of that rank
    a CUDA error of the GPU or driver  the node of the process that failed first, such as "uncorrectable ECC error"
    an error of NCCL itself            the same, where all ranks are on one node: else any node may be the cause
    everything else                    no node: other exceptions, full memory, and all disruptions

A node is avoided for an hour after the failure. If the pods find no room elsewhere, the attempt ends as NotStarted, and
no node is avoided for an hour: a small cluster has no other node.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run_status import MAX_AVOIDED_NODES

AVOIDED_FOR: Final = timedelta(hours=1)
NO_ROOM_AFTER: Final = timedelta(minutes=5)
"""How long pods may find no node while others are avoided. An autoscaler adds nodes in that time."""

_NODE_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_GPU_ERROR: Final = re.compile(
    r"(RuntimeError|AcceleratorError): .*("
    r"uncorrectable ECC error|uncorrectable NVLink error|peer GPU memory over nvlink or a hardware error"
    r"|no CUDA-capable device is detected|CUDA-capable device\(s\) is/are busy or unavailable"
    r"|No CUDA GPUs are available|system not yet initialized|GPU is lost|fallen off the bus|\bXid\b)"
)
"""Messages of the CUDA runtime and driver that no program causes. An illegal memory access may be a program's fault."""
_NCCL_ERROR: Final = re.compile(r"NCCL.*unhandled (system|cuda) error")


def find_bad_node(attempt: Attempt) -> str | None:
    """The node that probably caused the failure of `attempt`; None if it has not failed, or for another reason."""
    failed = attempt.end_time is not None and attempt.exit_code is not None
    if not failed or not attempt.node or not _NODE_NAME.fullmatch(attempt.node):
        return None
    return attempt.node if _is_hardware_failure(attempt) else None


def find_avoided_nodes(status: TrainingRunStatus, now: datetime) -> list[str]:
    """Names of the nodes that an attempt that starts at `now` avoids, sorted; of many, the last that failed."""
    recent = [item for item in status.attempts if item.end_time is not None and now < item.end_time + AVOIDED_FOR]
    if any(map(_found_no_room, recent)):
        return []
    nodes = dict.fromkeys(node for attempt in reversed(recent) if (node := find_bad_node(attempt)) is not None)
    return sorted(list(nodes)[:MAX_AVOIDED_NODES])


def has_failed_again(attempts: Iterable[Attempt], job: str) -> bool:
    """Whether the last attempt failed because of the same node as another attempt of the same Job."""
    nodes = [find_bad_node(attempt) for attempt in attempts if attempt.job == job]
    return bool(nodes) and nodes[-1] is not None and nodes[-1] in nodes[:-1]


def describe_avoided(status: TrainingRunStatus, attempt: Attempt) -> str:
    """What `attempt` avoids and why, such as `avoids node n1 (Hung in attempt 2)`; empty if it avoids none."""
    if not attempt.avoided_nodes:
        return ""
    causes = {find_bad_node(item): item for item in status.attempts if item.number < attempt.number}
    names = (_describe_node(name, causes.get(name)) for name in attempt.avoided_nodes)
    return f"avoids {'node' if len(attempt.avoided_nodes) == 1 else 'nodes'} {', '.join(names)}"


def _describe_node(name: str, cause: Attempt | None) -> str:
    return f"{name} ({cause.reason} in attempt {cause.number})" if cause is not None else name


def _is_hardware_failure(attempt: Attempt) -> bool:
    if attempt.outcome == "Hung":
        return attempt.rank is not None
    if attempt.outcome != "Failed":
        return False
    if attempt.reason == Reason.UNEXPECTED_ERROR:
        return _GPU_ERROR.match(attempt.message) is not None
    return attempt.reason == Reason.PEER_LOST and attempt.nodes == 1 and bool(_NCCL_ERROR.search(attempt.message))


def _found_no_room(attempt: Attempt) -> bool:
    return attempt.reason == Reason.NOT_STARTED and attempt.outcome == "Disrupted" and bool(attempt.avoided_nodes)
