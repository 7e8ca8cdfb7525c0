"""Why an attempt ended: the root cause among its pods.

A cause is taken into the attempt's entry as soon as it is seen, because the Job controller deletes pods; the attempt is
over only when its Job is. Until then a stronger cause replaces a weaker one:

    Disrupted  >  Hung (known rank first)  >  Failed (earliest end first)  >  nothing seen yet

A node whose processes all wait for another node reports a hang of an unknown rank. If several nodes name a rank, it is
one whose process is stopped, else the one that was silent first. Ranks that wait in a collective send no heartbeats
either, so where the last heartbeats are too close together, the rank is unknown. A disruption never counts as a
failure, even if another pod crashed because of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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

HEARTBEAT_TOLERANCE: Final = timedelta(seconds=2)
"""Clocks of nodes differ, and ranks end a step one after the other."""
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
    strongest = min(causes, key=lambda cause: _rank(cause.outcome, cause.rank, cause.time), default=None)
    hangs = [cause for cause in causes if cause.outcome == "Hung" and cause.rank is not None]
    if strongest not in hangs:
        return strongest
    ranks = frozenset(hang.rank for hang in hangs if hang.rank is not None)
    return replace(_compare_hangs(hangs), compared_ranks=ranks)


def _compare_hangs(hangs: Sequence[Cause]) -> Cause:
    """Of hangs of known ranks: one of a stopped process, else the one that was silent first, else an unknown rank."""
    stopped = [hang for hang in hangs if hang.is_stopped]
    if stopped or len({hang.rank for hang in hangs}) == 1:
        return min(stopped or hangs, key=lambda hang: (hang.last_heartbeat or _END_OF_TIME, hang.rank))
    first, second = sorted(hangs, key=lambda hang: hang.last_heartbeat or _END_OF_TIME)[:2]
    times = first.last_heartbeat, second.last_heartbeat
    if times[0] is not None and (times[1] is None or times[1] - times[0] > HEARTBEAT_TOLERANCE):
        return first
    names = ", ".join(f"rank {hang.rank} on {hang.node}" for hang in sorted(hangs, key=lambda hang: hang.rank or 0))
    message = (
        f"an unknown rank hangs: several do not wait for others and were silent at the same time ({names}); the stacks "
        "are in the log and next to the checkpoints"
    )
    return replace(first, rank=None, node=None, message=message)


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
    knows_better = cause.is_stopped or attempt.rank in cause.compared_ranks
    if cause.outcome == attempt.outcome == "Hung" and cause.rank != attempt.rank and knows_better:
        return set_cause(attempt, cause)  # seen after a rank of another node that only looked like the cause
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
        scheduled_nodes=cause.next_nodes,
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
        # That of the pod: a report is untrusted, and the next attempt may avoid this node.
        node=pod.node or (failure.node if failure else None),
        step=failure.step if failure else None,
        time=pod.finished,
        last_heartbeat=failure.last_heartbeat if failure else None,
        is_stopped=failure.is_stopped if failure else False,
    )
