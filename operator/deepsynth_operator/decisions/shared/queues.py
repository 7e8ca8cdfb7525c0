"""Jobs in a queue (Kueue), for both kinds: what may change about them, and when."""

from deepsynth_api.labels import QUEUE_NAME, QUEUE_PRIORITY_CLASS
from deepsynth_api.v1alpha1 import Resource
from deepsynth_operator.core.observed import ObservedJob
from deepsynth_operator.decisions.shared.decision import SetQueue


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


def may_resize(job: ObservedJob) -> bool:
    """Whether its parallelism may change. A queue stops a Job that no longer has the pods that it was admitted with."""
    return not job.is_queued or job.suspended
