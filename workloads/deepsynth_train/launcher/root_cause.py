"""Which of several worker failures is the root cause, and the launcher's exit code. Pure."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_api.report import Failure
from deepsynth_train.coordination.run_folder import ErrorRecord

STOPPED = (ExitCode.STOPPED, -signal.SIGTERM)
"""Exit codes that follow from a stop signal; the second is of a worker that had nothing to save yet."""


@dataclass(frozen=True)
class WorkerEnd:
    """How one worker process of this node ended.

    exit_code: of the process, -N for signal N. ended: seconds, monotonic. error: the worker's own error record.
    killed: the launcher killed it, so exit_code says nothing about the cause.
    """

    rank: int
    local_rank: int
    exit_code: int
    ended: float
    error: ErrorRecord | None = None
    killed: bool = False

    @property
    def code(self) -> int:
        """The exit code the worker intended; the process may crash or be killed while it exits."""
        return self.error.exit_code if self.error else self.exit_code

    @property
    def time(self) -> float:
        """When the failure happened: an exception comes before the end of its process."""
        return self.error.at if self.error else self.ended


def find_root_cause(ends: Sequence[WorkerEnd]) -> WorkerEnd | None:
    """The earliest failure that is not a consequence, else the earliest consequence, else None.

    Rank 0 lost its peer at 1.00 s, rank 1 was killed by SIGKILL at 1.01 s, rank 2 lost its peer at 1.02 s: rank 1.
    """
    failed = [end for end in ends if end.code not in (ExitCode.DONE, *STOPPED)]
    causes = [end for end in failed if not is_consequence(end)]
    alive = [end for end in failed if not end.killed]
    # If ranks lost a peer, the peer is one that died without writing an error record.
    silent = [end for end in alive if end.error is None]
    return min(causes or silent or alive or failed, key=lambda end: end.time, default=None)


def is_consequence(end: WorkerEnd) -> bool:
    """Whether the failure of another process caused this one.

    A worker that ended by SIGABRT without an error record was aborted by NCCL's watchdog, usually because a peer died.
    """
    if end.error:
        return end.error.consequence
    return end.killed or end.exit_code == -signal.SIGABRT


def compute_exit_code(ends: Sequence[WorkerEnd], cause: WorkerEnd | None, *, num_nodes: int, stopping: bool) -> int:
    """What the launcher exits with. stopping: it was asked to stop (SIGTERM)."""
    if cause is None:
        return int(ExitCode.STOPPED if any(end.code in STOPPED for end in ends) else ExitCode.DONE)
    if stopping:
        return int(ExitCode.TRY_AGAIN)
    if is_consequence(cause) and num_nodes > 1:
        return int(ExitCode.PEER_LOST)
    return 128 - cause.code if cause.code < 0 else cause.code


def describe_cause(cause: WorkerEnd, exit_code: int, node: str, last_step: int | None) -> Failure:
    """The cause as shown in the status. last_step: steps done when it happened, if known."""
    error = cause.error
    if error:
        reason, message, step = error.reason, error.message, error.step
    else:
        reason, message = _describe_signal(cause)
        step = last_step
    return Failure(
        reason=reason,
        message=message,
        exit_code=exit_code,
        rank=cause.rank,
        local_rank=cause.local_rank,
        node=node,
        exception=error.exception if error else None,
        step=step,
    )


def _describe_signal(cause: WorkerEnd) -> tuple[Reason, str]:
    if cause.killed:
        return Reason.WORKER_NOT_STOPPED, f"rank {cause.rank} did not stop in time and was killed"
    if cause.exit_code == -signal.SIGKILL:
        hint = "if memory ran out, raise the memory limit or lower spec.microBatchSize"
        return Reason.WORKER_KILLED, f"rank {cause.rank} was killed by SIGKILL; {hint}"
    if cause.exit_code < 0:
        return Reason.WORKER_CRASHED, f"rank {cause.rank} was ended by {_signal_name(-cause.exit_code)}; see its log"
    return (
        Reason.WORKER_FAILED,
        f"rank {cause.rank} exited with code {cause.exit_code} without an error record; see its log",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
