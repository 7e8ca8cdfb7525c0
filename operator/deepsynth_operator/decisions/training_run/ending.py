"""When an attempt is over, and with which outcome. First match; what the attempt's entry already says comes first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.v1alpha1 import Attempt, TrainingRun
from deepsynth_operator.core.observed import ObservedJob, ObservedPod, Refusal
from deepsynth_operator.decisions.shared.deadline import find_deadline_verdict
from deepsynth_operator.decisions.shared.lost_node import describe_lost, is_lost
from deepsynth_operator.decisions.training_run.attempts import REQUEUED, SUSPENDED
from deepsynth_operator.decisions.training_run.outcomes import Cause, find_weak_cause, set_cause
from deepsynth_operator.decisions.training_run.start_timeout import find_start_timeout

CACHE_LAG: Final = timedelta(seconds=10)
"""How long after a Job's end its pods' last states may take to reach the cache."""
STALE_CACHE: Final = timedelta(seconds=360)
"""The same where the cache shows a pod at work. A finished Job has none (podReplacementPolicy: Failed), so the watch is
behind, and what the pod ended with is still to come; within this time WatchAudit has found out what there is."""


def conclude_attempt(
    run: TrainingRun,
    attempt: Attempt,
    job: ObservedJob | None,
    pods: Sequence[ObservedPod],
    *,
    now: datetime,
    refusal: Refusal | None = None,
) -> Attempt | None:
    """`attempt` with its outcome if it is over, else None."""
    if job is not None and job.is_finished:
        return _conclude_finished(attempt, job, pods) if has_caught_up(job, pods, now) else None
    if (verdict := find_deadline_verdict(run, run.status.start_time, now)) is not None:
        return _settle(attempt, Cause("Failed", verdict.reason, verdict.message, time=now))
    if run.spec.suspend:
        return _settle(attempt, Cause("Suspended", SUSPENDED, "spec.suspend is true"))
    if job is None:
        return _conclude_without_job(attempt, refusal, now)
    if job.suspended and attempt.held_time is not None:
        return _conclude_requeued(attempt)
    return _conclude_stuck(run, attempt, job, pods, now)


def has_caught_up(job: ObservedJob, pods: Sequence[ObservedPod], now: datetime) -> bool:
    """Whether every pod of a finished Job was seen to its end, or there was time enough for that."""
    ended = {pod.index for pod in pods if pod.exit_code is not None}
    lag = CACHE_LAG if all(pod.has_ended for pod in pods) else STALE_CACHE
    return len(ended) >= job.completions or job.finished is None or now >= job.finished + lag


def _conclude_finished(attempt: Attempt, job: ObservedJob, pods: Sequence[ObservedPod]) -> Attempt:
    if job.is_complete:
        return set_cause(attempt, Cause("Succeeded", "Succeeded", "", exit_code=0))
    return _settle(attempt, find_weak_cause(pods, job))


def _conclude_without_job(attempt: Attempt, refusal: Refusal | None, now: datetime) -> Attempt | None:
    if attempt.job_uid:
        return _settle(attempt, Cause("Disrupted", "JobDeleted", f"Job {attempt.job} was deleted"))
    if refusal is not None:
        return _settle(attempt, Cause("Failed", refusal.reason, refusal.message, refusal.exit_code, time=now))
    return None


def _conclude_requeued(attempt: Attempt) -> Attempt:
    """A failure that was seen before the queue took the Job back stays one; a disruption is what the queue does."""
    if attempt.outcome in {"Failed", "Hung"}:
        return attempt
    return set_cause(attempt, Cause("Suspended", REQUEUED, "the queue took its resources back"))


def _conclude_stuck(
    run: TrainingRun, attempt: Attempt, job: ObservedJob, pods: Sequence[ObservedPod], now: datetime
) -> Attempt | None:
    if (lost := next((pod for pod in pods if is_lost(pod, now)), None)) is not None:
        return _settle(attempt, Cause("Disrupted", "NodeLost", describe_lost(lost), node=lost.node))
    cause = find_start_timeout(run, attempt, job, pods, now)
    return _settle(attempt, cause) if cause is not None else None


def _settle(attempt: Attempt, cause: Cause) -> Attempt:
    return attempt if attempt.outcome is not None else set_cause(attempt, cause)
