"""When the Job of an attempt or of a step is over: the policies that both kinds ask, and what they see.

The order in which they are asked is in the kinds' `policies.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Resource
from deepsynth_operator.core.observed import ObservedJob, ObservedPod, Refusal
from deepsynth_operator.decisions.shared.decision import Cause, SetDeadline, Verdict
from deepsynth_operator.decisions.shared.pods import describe_lost, is_lost
from deepsynth_operator.decisions.shared.policies import NOT_OVER, NotOver
from deepsynth_operator.manifests.child import compute_job_deadline, get_active_since

CACHE_LAG: Final = timedelta(seconds=10)
"""How long the last states of a finished Job's pods may take to reach the cache."""
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""How far the clock of the Job controller may be ahead."""
JOB_DEADLINE: Final = "DeadlineExceeded"
"""The reason of a Job that failed because of its activeDeadlineSeconds."""
SUSPENDED: Final = "stopped by a user (spec.suspend is true)"
"""Also by Ctrl-C, where there is no cluster."""
STALE_CACHE: Final = timedelta(seconds=360)
"""The same while the cache shows a pod running. A finished Job has none (podReplacementPolicy: Failed), so the watch is
behind and the exit codes are still to come; WatchAudit repairs the cache within this time."""


@dataclass(frozen=True, slots=True)
class LiveJob:
    """What end policies see of a Job whose entry in the status has no end.

    name: of the Job in the entry. existed: whether the Job was ever seen. job: None when it does not exist now.
    """

    resource: Resource
    name: str
    existed: bool
    job: ObservedJob | None
    pods: Sequence[ObservedPod]
    refusal: Refusal | None
    now: datetime


def waits_for_exit_codes(live: LiveJob) -> NotOver | None:
    job = live.job
    if job is None or not job.is_finished or job.finished is None:
        return None
    ended = {pod.index for pod in live.pods if pod.exit_code is not None}
    lag = CACHE_LAG if all(pod.has_ended for pod in live.pods) else STALE_CACHE
    return None if len(ended) >= job.completions or live.now >= job.finished + lag else NOT_OVER


def exceeded_deadline(live: LiveJob) -> Cause | None:
    verdict = find_deadline_verdict(live.resource, get_active_since(live.resource), live.now)
    return Cause("Failed", verdict.reason, verdict.message, time=live.now) if verdict is not None else None


def ended_at_its_deadline(live: LiveJob) -> Cause | None:
    """The Job has the deadline too. If it was extended while the Job ran, the next Job continues the work."""
    job = live.job
    if job is None or not job.is_failed or job.failure_reason != JOB_DEADLINE:
        return None
    extended = Cause(
        "Disrupted", Reason.DEADLINE_EXCEEDED, "activeDeadlineSeconds was raised after the Job had started"
    )
    return exceeded_deadline(replace(live, now=live.now + CLOCK_TOLERANCE)) or extended


def suspended_by_user(live: LiveJob) -> Cause | None:
    return Cause("Suspended", Reason.SUSPENDED_BY_USER, SUSPENDED) if live.resource.spec.suspend else None


def deleted(live: LiveJob) -> Cause | None:
    gone = live.job is None and live.existed
    return Cause("Disrupted", Reason.JOB_DELETED, f"Job {live.name} was deleted") if gone else None


def refused_by_api_server(live: LiveJob) -> Cause | None:
    if live.job is not None or live.refusal is None or live.refusal.is_temporary:
        return None
    return Cause("Failed", live.refusal.reason, live.refusal.message, live.refusal.exit_code, time=live.now)


def not_created_yet(live: LiveJob) -> NotOver | None:
    return NOT_OVER if live.job is None else None


def lost_node(live: LiveJob) -> Cause | None:
    lost = next((pod for pod in live.pods if is_lost(pod, live.now)), None)
    return Cause("Disrupted", Reason.NODE_LOST, describe_lost(lost), node=lost.node) if lost is not None else None


def find_deadline_verdict(resource: Resource, start: datetime | None, now: datetime) -> Verdict | None:
    """The verdict once spec.activeDeadlineSeconds have passed since `start`."""
    seconds = resource.spec.active_deadline_seconds
    if seconds is None or start is None or now < start + timedelta(seconds=seconds):
        return None
    return Verdict(Reason.DEADLINE_EXCEEDED, f"not finished {seconds} s after startTime (activeDeadlineSeconds)")


def follow_deadline(
    resource: Resource, began: datetime | None, start: datetime, job: ObservedJob | None
) -> tuple[SetDeadline, ...]:
    """What makes the deadline of a live Job agree with spec.activeDeadlineSeconds, which may change at any time.

    One that the Job has from an admission policy is not removed: if it ends the Job too early, the next Job continues
    the work.
    began: status.startTime of the resource. start: when the attempt or the step of this Job started.
    """
    if job is None or job.deleting or job.is_finished or job.is_failing:
        return ()
    seconds = compute_job_deadline(resource, began, start)
    if seconds == job.deadline_seconds or (seconds is None and not job.has_own_deadline):
        return ()
    return (SetDeadline(job.name, job.uid, seconds),)


def compute_deadline_wait(resource: Resource, start: datetime | None, now: datetime) -> float:
    """Seconds until the deadline, at least 1; infinite without one."""
    seconds = resource.spec.active_deadline_seconds
    if seconds is None or start is None:
        return float("inf")
    return max((start + timedelta(seconds=seconds) - now).total_seconds(), 1.0)
