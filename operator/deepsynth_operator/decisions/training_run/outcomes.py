"""Why an attempt ended: the root cause among its pods, and what it is called.

A cause is taken into the attempt as soon as it is seen, because the Job controller deletes pods; the attempt is over
only when its Job is. Until then a stronger cause replaces a weaker one: a disruption outranks a hang, a hang a
failure, and among failures the earliest end is the root. So a disruption is never counted as a failure, whoever
crashed because of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.v1alpha1 import Attempt
from deepsynth_api.v1alpha1.training_run_status import AttemptOutcome
from deepsynth_operator.core.observed import ObservedJob, ObservedPod

MESSAGE_CHARACTERS: Final = 1024
_STRENGTH: Final[dict[AttemptOutcome | None, int]] = {"Disrupted": 0, "Hung": 1, "Failed": 2, None: 3}
"""0 is the strongest. An outcome that is not here is never a cause to be found."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_DISRUPTIONS: Final = {
    "EvictionByEvictionAPI": "Evicted",
    "PreemptionByScheduler": "Preempted",
    "DeletionByTaintManager": "NodeLost",
    "DeletionByPodGC": "NodeLost",
    "TerminationByKubelet": "TerminatedByNode",
}
_REASONS: Final = {
    ExitCode.BAD_CONFIGURATION: "BadConfiguration",
    ExitCode.BAD_DATA: "BadData",
    ExitCode.INTERNAL: "InternalError",
    ExitCode.TRY_AGAIN: "TemporaryFailure",
    ExitCode.HUNG: "Hung",
    ExitCode.PEER_LOST: "PeerLost",
}
_NOT_FAILURES: Final = (ExitCode.DONE, ExitCode.PEER_LOST, ExitCode.STOPPED)
_OF_A_DELETION: Final = (ExitCode.OUT_OF_MEMORY, ExitCode.TRY_AGAIN)
"""What a pod that is being deleted ends with when its grace was too short, or not every rank could save."""


@dataclass(frozen=True, slots=True)
class Cause:
    outcome: AttemptOutcome
    reason: str
    message: str
    exit_code: int | None = None
    rank: int | None = None
    node: str | None = None
    step: int | None = None
    time: datetime | None = None

    @property
    def order(self) -> tuple[int, datetime]:
        return _STRENGTH[self.outcome], (self.time or _NEVER) if self.outcome == "Failed" else _NEVER


def find_root_cause(pods: Iterable[ObservedPod], job: ObservedJob | None) -> Cause | None:
    """The strongest cause to be seen; None while nothing says that the attempt cannot succeed."""
    causes = [cause for pod in pods if (cause := _find_cause(pod))]
    if job is not None and "DisruptionTarget" in job.failure_message:
        causes.append(Cause("Disrupted", "PodDisrupted", job.failure_message))
    return min(causes, key=lambda cause: cause.order, default=None)


def adopt_cause(attempt: Attempt, cause: Cause | None) -> Attempt:
    """`attempt` with this cause, if it is stronger than the one it has."""
    known = _STRENGTH[attempt.outcome], (attempt.failed_time or _NEVER) if attempt.outcome == "Failed" else _NEVER
    return attempt if cause is None or cause.order >= known else set_cause(attempt, cause)


def set_cause(attempt: Attempt, cause: Cause) -> Attempt:
    """`attempt` with this outcome and its details."""
    return attempt.updated(
        outcome=cause.outcome,
        reason=cause.reason,
        message=cause.message[:MESSAGE_CHARACTERS],
        exit_code=cause.exit_code,
        rank=cause.rank,
        node=cause.node,
        failed_step=cause.step,
        failed_time=cause.time,
    )


def find_weak_cause(pods: Iterable[ObservedPod], job: ObservedJob) -> Cause:
    """What a failed Job without a root cause is put down to: somebody took a pod away."""
    for pod in pods:
        if pod.exit_code == ExitCode.PEER_LOST:
            return _build_cause(pod, "Disrupted", "PeerLost", "a peer was lost, and its pod is gone")
    for pod in pods:
        if pod.phase_reason:
            return _build_cause(pod, "Disrupted", pod.phase_reason, f"the node refused pod {pod.name}")
    for pod in pods:
        if pod.exit_code == ExitCode.STOPPED and pod.deletion is None:
            return _build_cause(pod, "Disrupted", "Stopped", f"pod {pod.name} was stopped by a signal")
    return Cause("Disrupted", "PodDeleted", job.failure_message or "a pod was deleted")


def is_failure(pod: ObservedPod) -> bool:
    """Whether the container's end is its own doing."""
    if pod.exit_code is None or pod.exit_code in _NOT_FAILURES:
        return False
    stopped = pod.exit_code in _OF_A_DELETION and pod.deletion is not None
    return pod.exit_reason == "OOMKilled" or not stopped


def _find_cause(pod: ObservedPod) -> Cause | None:
    if pod.disruption is not None:
        reason = _DISRUPTIONS.get(pod.disruption, pod.disruption)
        return _build_cause(pod, "Disrupted", reason, pod.disruption_message or f"pod {pod.name}: {pod.disruption}")
    if pod.exit_code == ExitCode.HUNG:
        return _build_cause(pod, "Hung", "Hung", "no heartbeat; the stacks are in the log and beside the checkpoints")
    return _build_cause(pod, "Failed", name_exit(pod), describe_exit(pod)) if is_failure(pod) else None


def _build_cause(pod: ObservedPod, outcome: AttemptOutcome, reason: str, message: str) -> Cause:
    """A cause with the details of the pod's final report, where it left one."""
    failure = pod.report.failure if pod.report and outcome != "Disrupted" else None
    return Cause(
        outcome=outcome,
        reason=failure.reason if failure else reason,
        message=failure.message if failure else message,
        exit_code=pod.exit_code,
        rank=failure.rank if failure else None,
        node=(failure.node if failure else None) or pod.node,
        step=failure.step if failure else None,
        time=pod.finished,
    )


def name_exit(pod: ObservedPod) -> str:
    """CamelCase reason of a container that ended without a report."""
    if pod.exit_reason == "OOMKilled":
        return "OutOfMemory"
    try:
        return _REASONS[ExitCode(pod.exit_code or 0)]
    except (KeyError, ValueError):
        return "NonZeroExit"


def describe_exit(pod: ObservedPod) -> str:
    """A sentence about a container that ended without a report."""
    if pod.exit_reason == "OOMKilled":
        return f"pod {pod.name} needed more memory than its limit; raise resources.limits.memory"
    return pod.message or f"pod {pod.name} ended with exit code {pod.exit_code}; see its log"
