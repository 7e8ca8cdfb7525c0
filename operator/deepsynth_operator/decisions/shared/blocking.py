"""What a new Job has to wait for so that there are never two at work: the Jobs and pods of those before it."""

from datetime import datetime, timedelta

from deepsynth_operator.core.observed import Children
from deepsynth_operator.decisions.shared.lost_node import STUCK, is_lost


def find_blocker(children: Children, end: datetime | None, grace: timedelta, now: datetime) -> str | None:
    """What still has to go; None when nothing has.

    end: when the last attempt or step was over; None when there was none.
    Pods are waited for only as long as they may take to save: a cache may show one that is gone, and what a lost
    node still runs is kept from the checkpoints by their owner file.
    """
    is_late = end is None or now >= end + grace + STUCK
    for job in children.jobs:
        if not job.is_finished and not (job.deleting and is_late):
            return f"waiting for Job {job.name} to be deleted"
    for pod in children.pods:
        if not is_late and not pod.has_ended and not is_lost(pod, now):
            return f"waiting for pod {pod.name} to save and stop"
    return None
