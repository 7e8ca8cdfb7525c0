"""Whether failed workers start again in the same pods, which takes seconds, or the attempt gets a new Job. Pure.

    node ──▶ NodeEnd: how its workers ended, and what stands against a restart there      find_obstacle
    node 0 ──▶ Verdict, from the NodeEnds of all nodes                                    judge

A new Job is made for what new pods or other nodes may cure, for what would fail again, and when restarts in place have
not helped. The operator counts an attempt that ended in place as any other: see `Restart`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.delays import compute_delay
from deepsynth_api.exit_codes import PERMANENT, ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_api.report import Failure, Restart, TrainReport
from deepsynth_api.v1alpha1.shared.base import ApiModel

MAX_IN_VAIN: Final = 2
"""Restarts in a row without a new checkpoint. Then the operator takes over, whose delays grow to minutes."""
BASE_DELAY_SECONDS: Final = 10.0
MAX_DELAY_SECONDS: Final = 60.0
MAX_MESSAGE_CHARACTERS: Final = 500

_NEW_JOB: Final[Mapping[str, str]] = {
    Reason.OUT_OF_MEMORY: "memory was full",
    Reason.DISK_FULL: "the disk was full",
    Reason.NON_FINITE_LOSS: "the same step would give the same loss",
    Reason.WORKER_NOT_STOPPED: "a process did not end by itself",
}
"""Reasons of failures that the operator judges together with those of earlier Jobs, or that need other pods."""
_HARDWARE: Final = re.compile(r"\b(CUDA|cuDNN|cuBLAS|NCCL|NVLink|Xid|ECC)\b|AcceleratorError|CUDNN_|CUBLAS_")
"""Words of the GPU, its driver and its links, in the message or the traceback of a failure."""


class NodeEnd(ApiModel):
    """How the workers of one node ended.

    failure: None if all have finished or were asked to stop. is_consequence: they only lost processes of other nodes.
    at: when it failed, seconds since 1970. obstacle: why they must not start again in this pod; empty if they may.
    """

    node_rank: int
    failure: Failure | None = None
    is_consequence: bool = False
    at: float = 0.0
    obstacle: str = ""


class Verdict(ApiModel):
    """refusal: why the attempt ends with its pods; empty if the workers start again after `delay` seconds."""

    refusal: str = ""
    restart: Restart | None = None
    delay: float = 0.0


@dataclass(frozen=True)
class Budget:
    """allowed: restarts in these pods, in all. used: so far. in_vain: the last ones, without a new checkpoint."""

    allowed: int
    used: int = 0
    in_vain: int = 0

    def spend(self, *, saved: bool) -> "Budget":
        """After another restart. saved: whether the attempt before it had saved a new checkpoint."""
        return Budget(self.allowed, self.used + 1, 1 if saved else self.in_vain + 1)


def find_obstacle(failure: Failure | None) -> str:
    """Why the failure of a node needs a new Job; empty if it does not."""
    if failure is None:
        return "its workers have finished or were stopped"
    if failure.exit_code in PERMANENT:
        return f"another attempt would fail in the same way ({failure.reason})"
    if failure.exit_code == ExitCode.HUNG:
        return "a hang may be caused by the node"
    if why := _NEW_JOB.get(failure.reason):
        return why
    if found := _HARDWARE.search(f"{failure.message}\n{failure.exception or ''}"):
        return f"the failure names {found[0]}, so the node may be the cause"
    return ""


def judge(ends: Sequence[NodeEnd], num_nodes: int, budget: Budget, train: TrainReport) -> Verdict:
    """The verdict on the ends of the nodes that have reported. train: what node 0 last reported."""
    causes = [end for end in ends if end.failure is not None and not end.is_consequence]
    cause = min(causes, key=lambda end: end.at, default=None)
    refusal = _find_refusal(ends, num_nodes) or _find_limit(budget, saved=has_saved(train))
    if refusal or cause is None or cause.failure is None:
        return Verdict(refusal=refusal or "no process of the attempt is known as the cause")
    in_vain = 0 if has_saved(train) else budget.in_vain
    delay = compute_delay(in_vain, first=BASE_DELAY_SECONDS, longest=MAX_DELAY_SECONDS) if in_vain else 0.0
    return Verdict(restart=_build_restart(cause.failure, cause.at, train), delay=delay)


def has_saved(train: TrainReport) -> bool:
    """Whether the attempt has saved a checkpoint beyond the one it resumed from."""
    return (train.saved_step or 0) > (train.resumed_from_step or 0)


def _find_refusal(ends: Sequence[NodeEnd], num_nodes: int) -> str:
    blocked = next((end for end in ends if end.obstacle and not end.is_consequence), None)
    blocked = blocked or next((end for end in ends if end.obstacle), None)
    if blocked is not None:
        return f"node {blocked.node_rank}: {blocked.obstacle}"
    missing = sorted(set(range(num_nodes)) - {end.node_rank for end in ends})
    return f"nodes {', '.join(map(str, missing))} did not report how their workers ended" if missing else ""


def _find_limit(budget: Budget, *, saved: bool) -> str:
    if budget.used >= budget.allowed:
        return f"the workers were restarted {counted(budget.used, 'time')} in these pods"
    if budget.in_vain >= MAX_IN_VAIN and not saved:
        return f"{counted(budget.in_vain, 'restart')} in a row brought no new checkpoint"
    return ""


def _build_restart(failure: Failure, at: float, train: TrainReport) -> Restart:
    saved = [checkpoint.time for checkpoint in train.checkpoints if checkpoint.step == train.saved_step]
    return Restart(
        failure=failure.updated(exception=None, message=failure.message[:MAX_MESSAGE_CHARACTERS]),
        time=datetime.fromtimestamp(at, UTC),
        step=train.step,
        resumed_from_step=train.resumed_from_step,
        saved_step=train.saved_step,
        saved_time=saved[0] if saved else None,
    )
