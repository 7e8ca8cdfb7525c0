"""Questions about one pod: did it fail by itself, is it overdue, is its node lost."""

from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_operator.core.observed import ObservedPod

STUCK: Final = timedelta(seconds=30)
"""How long a pod may take to disappear after its grace period."""

_NOT_FAILURES: Final = (ExitCode.DONE, ExitCode.PEER_LOST, ExitCode.STOPPED)
_OF_A_DELETION: Final = (ExitCode.OUT_OF_MEMORY, ExitCode.TRY_AGAIN)
"""Exit codes of a pod that is being deleted when its grace period was too short, or not every rank could save."""
_REASONS: Final = {
    ExitCode.BAD_CONFIGURATION: Reason.BAD_CONFIGURATION,
    ExitCode.BAD_DATA: Reason.BAD_DATA,
    ExitCode.INTERNAL: Reason.INTERNAL_ERROR,
    ExitCode.TRY_AGAIN: Reason.TEMPORARY_FAILURE,
    ExitCode.HUNG: Reason.HUNG,
    ExitCode.PEER_LOST: Reason.PEER_LOST,
}


def is_failure(pod: ObservedPod) -> bool:
    """Whether its container failed by itself. Stopped, deleted and orphaned by a peer are no failures."""
    if pod.exit_code is None or pod.exit_code in _NOT_FAILURES:
        return False
    stopped = pod.exit_code in _OF_A_DELETION and pod.deletion is not None
    return pod.exit_reason == "OOMKilled" or not stopped


def name_exit(pod: ObservedPod) -> str:
    """The reason of a container that ended without a report."""
    if pod.exit_reason == "OOMKilled":
        return Reason.OUT_OF_MEMORY
    try:
        return _REASONS[ExitCode(pod.exit_code or 0)]
    except (KeyError, ValueError):
        return Reason.NON_ZERO_EXIT


def describe_exit(pod: ObservedPod) -> str:
    """A sentence about a container that ended without a report."""
    if pod.exit_reason == "OOMKilled":
        return f"pod {pod.name} needed more memory than its limit; raise resources.limits.memory"
    return pod.message or f"pod {pod.name} ended with exit code {pod.exit_code}; see its log"


def is_overdue(pod: ObservedPod, now: datetime) -> bool:
    """Whether the pod is being deleted and should be gone by now."""
    return pod.deletion is not None and now >= pod.deletion + STUCK and not pod.is_final


def is_lost(pod: ObservedPod, now: datetime) -> bool:
    """Whether the pod hangs in Terminating because its node does not answer. Such a pod never goes away by itself."""
    return is_overdue(pod, now) and pod.node_ready is not True


def describe_lost(pod: ObservedPod) -> str:
    return f"pod {pod.name} does not end; node {pod.node} does not answer"
