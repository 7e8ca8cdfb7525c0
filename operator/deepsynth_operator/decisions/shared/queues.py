"""Jobs in a queue (Kueue), for both kinds: what may change about them, and when."""

from dataclasses import dataclass
from typing import Final

from deepsynth_api.labels import QUEUE_NAME, QUEUE_PRIORITY_CLASS
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Resource
from deepsynth_operator.core.observed import ObservedJob
from deepsynth_operator.decisions.shared.decision import RESYNC_SECONDS, SetQueue

_CHECK_SECONDS: Final = 30.0


def change_queue(resource: Resource, job: ObservedJob) -> SetQueue | None:
    """Move a waiting Job to the queue and the priority class that its resource names now.

    A Job that runs stays where it is. So does one whose resource names no queue any more: nobody would resume it.
    """
    labels = resource.metadata.labels
    if not job.suspended or not job.is_queued or QUEUE_NAME not in labels:
        return None
    wanted = {key: labels.get(key) for key in (QUEUE_NAME, QUEUE_PRIORITY_CLASS)}
    changed = {key: value for key, value in wanted.items() if value != job.queue_labels.get(key)}
    return SetQueue(job.name, job.uid, changed) if changed else None


@dataclass(frozen=True, slots=True)
class Wait:
    """What a resource shows whose Job its queue holds. No event follows a change: look again after check_after."""

    reason: str
    message: str
    check_after: float


def describe_wait(job: ObservedJob, reason: str, obstacle: str = "") -> Wait:
    """Why the queue holds the Job, where that is known; else `reason`.

    obstacle: what kept its pods from starting while it was admitted. A queue gives up on such a Job.
    """
    text, wait = f"Job {job.name} waits for its queue", job.wait
    last = f"; its pods did not start: {obstacle}" if obstacle else ""
    if wait is None:
        return Wait(reason, f"{text}{last}", RESYNC_SECONDS)
    known = reason if wait.reason == Reason.QUEUED else wait.reason
    return Wait(known, f"{text}: {wait.message}{last}", _CHECK_SECONDS)


def may_resize(job: ObservedJob) -> bool:
    """Whether its parallelism may change. A queue stops a Job that no longer has the pods that it was admitted with."""
    return not job.is_queued or job.suspended
