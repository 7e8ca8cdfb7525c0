"""Which of the failures of an attempt is the cause, and the exit code that follows. Pure."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_api.report import Failure
from deepsynth_train.run_folder import ErrorRecord

STOPPED = (ExitCode.STOPPED, -signal.SIGTERM)
"""Ends that a stop signal explains; the second is a worker too young to have anything to save."""


@dataclass(frozen=True)
class WorkerEnd:
    """How one worker process of this node ended.

    exit_code: as the process left it, -N for signal N. ended: seconds, monotonic. error: what the worker itself
    wrote. killed: the launcher killed it, so the end of the process says nothing.
    """

    rank: int
    local_rank: int
    exit_code: int
    ended: float
    error: ErrorRecord | None = None
    killed: bool = False

    @property
    def code(self) -> int:
        """What the worker meant to exit with: it may crash or be killed on its way out."""
        return self.error.exit_code if self.error else self.exit_code

    @property
    def time(self) -> float:
        """When the failure happened: an exception is older than the end of its process."""
        return self.error.at if self.error else self.ended


def find_root_cause(ends: Sequence[WorkerEnd]) -> WorkerEnd | None:
    """The first failure that is not a consequence; the first consequence when there is nothing else; else None."""
    failed = [end for end in ends if end.code not in (ExitCode.DONE, *STOPPED)]
    causes = [end for end in failed if not is_consequence(end)]
    alive = [end for end in failed if not end.killed]
    # Ranks that say they lost a peer lost somebody: beside them, the one that died without a word.
    silent = [end for end in alive if end.error is None]
    return min(causes or silent or alive or failed, key=lambda end: end.time, default=None)


def is_consequence(end: WorkerEnd) -> bool:
    """Whether the failure of another process explains this one.

    A worker without an error file that ended by SIGABRT was ended by NCCL's watchdog, as a rule because a peer died.
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
    """The cause as the status shows it. last_step: steps done when it happened, if known."""
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
        return Reason.WORKER_NOT_STOPPED, f"rank {cause.rank} did not end in time and was killed"
    if cause.exit_code == -signal.SIGKILL:
        hint = "if memory ran out, raise the memory limit or lower spec.microBatchSize"
        return Reason.WORKER_KILLED, f"rank {cause.rank} was killed by SIGKILL; {hint}"
    if cause.exit_code < 0:
        name = _signal_name(-cause.exit_code)
        return Reason.WORKER_CRASHED, f"rank {cause.rank} was ended by {name}; its log has more"
    message = f"rank {cause.rank} exited with code {cause.exit_code} without saying why; see its log"
    return Reason.WORKER_FAILED, message


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
