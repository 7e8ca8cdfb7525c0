"""Why an attempt ended: the root cause among its pods.

A cause is taken into the attempt's entry as soon as it is seen, because the Job controller deletes pods; the attempt is
over only when its Job is. Until then a stronger cause replaces a weaker one:

    Disrupted  >  Hung (known rank first)  >  Failed (earliest end first)  >  nothing seen yet

A node whose processes all wait for another node reports a hang of an unknown rank. A disruption never counts as a
failure, even if another pod crashed because of it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt
from deepsynth_api.v1alpha1.training_run_status import AttemptOutcome
from deepsynth_operator.core.observed import ObservedJob, ObservedPod
from deepsynth_operator.decisions.shared.decision import MAX_ENTRY_MESSAGE, Cause
from deepsynth_operator.decisions.shared.pods import describe_exit, is_failure, name_exit

_STRENGTH: Final[dict[AttemptOutcome | None, int]] = {"Disrupted": 0, "Hung": 1, "Failed": 2, None: 3}
"""0 is the strongest. Succeeded and Suspended are never found among pods."""

_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)

_DISRUPTIONS: Final = {
    "EvictionByEvictionAPI": Reason.EVICTED,
    "PreemptionByScheduler": Reason.PREEMPTED,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
    "TerminationByKubelet": Reason.TERMINATED_BY_NODE,
}
"""From the reason of a pod's DisruptionTarget condition to the attempt's. Any other reason stays as it is."""


def find_root_cause(pods: Iterable[ObservedPod], job: ObservedJob | None) -> Cause | None:
    """The strongest cause among the pods; None while the attempt may still succeed."""
    causes = [cause for pod in pods if (cause := _find_cause(pod))]
    if job is not None and "DisruptionTarget" in job.failure_message:
        causes.append(Cause("Disrupted", Reason.POD_DISRUPTED, job.failure_message))
    return min(causes, key=lambda cause: _rank(cause.outcome, cause.rank, cause.time), default=None)


def find_weak_cause(pods: Iterable[ObservedPod], job: ObservedJob) -> Cause:
    """The cause of a failed Job without a root cause: somebody took a pod away."""
    for pod in pods:
        if pod.exit_code == ExitCode.PEER_LOST:
            return _build_cause(pod, "Disrupted", Reason.PEER_LOST, "a peer was lost, and its pod is gone")
    for pod in pods:
        if pod.phase_reason:
            return _build_cause(pod, "Disrupted", pod.phase_reason, f"the node refused pod {pod.name}")
    for pod in pods:
        if pod.exit_code == ExitCode.STOPPED and pod.deletion is None:
            return _build_cause(pod, "Disrupted", Reason.STOPPED, f"pod {pod.name} was stopped by a signal")
    return Cause("Disrupted", Reason.POD_DELETED, job.failure_message or "a pod was deleted")


def adopt_cause(attempt: Attempt, cause: Cause | None) -> Attempt:
    """`attempt` with this cause, if it is stronger than the one it has."""
    if cause is None:
        return attempt
    earlier = _rank(attempt.outcome, attempt.rank, attempt.failed_time)
    if _rank(cause.outcome, cause.rank, cause.time) >= earlier:
        return attempt
    return set_cause(attempt, cause)


def set_cause(attempt: Attempt, cause: Cause) -> Attempt:
    """`attempt` with this outcome and its details."""
    return attempt.updated(
        outcome=cause.outcome,
        reason=cause.reason,
        message=cause.message[:MAX_ENTRY_MESSAGE],
        exit_code=cause.exit_code,
        rank=cause.rank,
        node=cause.node,
        failed_step=cause.step,
        failed_time=cause.time,
    )


def _rank(outcome: AttemptOutcome | None, rank: int | None, time: datetime | None) -> tuple[int, bool, datetime]:
    """The smallest is the strongest. Of hangs, one whose rank is known; of failures, the earliest."""
    strength = _STRENGTH.get(outcome, -1)
    is_unknown = outcome == "Hung" and rank is None
    return strength, is_unknown, (time or _END_OF_TIME) if outcome == "Failed" else _END_OF_TIME


def _find_cause(pod: ObservedPod) -> Cause | None:
    if pod.disruption is not None:
        reason = _DISRUPTIONS.get(pod.disruption, pod.disruption)
        return _build_cause(pod, "Disrupted", reason, pod.disruption_message or f"pod {pod.name}: {pod.disruption}")
    if pod.exit_code == ExitCode.HUNG:
        message = "no heartbeat; the stacks are in the log and next to the checkpoints"
        return _build_cause(pod, "Hung", Reason.HUNG, message)
    return _build_cause(pod, "Failed", name_exit(pod), describe_exit(pod)) if is_failure(pod) else None


def _build_cause(pod: ObservedPod, outcome: AttemptOutcome, reason: str, message: str) -> Cause:
    """A cause with the details of the pod's final report, where it left one."""
    failure = pod.report.failure if pod.report and outcome != "Disrupted" else None
    return Cause(
        outcome=outcome,
        reason=(failure.reason if failure else "") or reason,
        message=failure.message if failure else message,
        exit_code=pod.exit_code,
        rank=failure.rank if failure else None,
        node=(failure.node if failure else None) or pod.node,
        step=failure.step if failure else None,
        time=pod.finished,
    )
