"""What a new Job has to wait for, for both kinds: the delay after disruptions, and earlier Jobs and pods."""

from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.delays import compute_delay
from deepsynth_operator.core.observed import Children
from deepsynth_operator.decisions.shared.pods import STUCK, is_lost

BASE_DELAY_SECONDS: Final = 10
MAX_DELAY_SECONDS: Final = 600
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
"""How far the clocks of two operators may differ. A time further ahead was written by a clock that was wrong."""


def compute_restart_delay(count: int) -> timedelta:
    """How long to wait after `count` ends in a row without progress: 10 s, 20 s, 40 s and so on, up to 10 minutes."""
    return timedelta(seconds=compute_delay(count, first=BASE_DELAY_SECONDS, longest=MAX_DELAY_SECONDS))


def is_due(end: datetime, due: datetime, now: datetime) -> bool:
    """Whether the next Job may start at `now`, where the last one ended at `end`.

    If the clock has gone back since then, `due` may be days away, so it is not waited for.
    """
    return now >= due or end > now + CLOCK_TOLERANCE


def find_blocker(children: Children, end: datetime | None, grace: timedelta, now: datetime) -> str | None:
    """What has to go before there may be another Job, so that two never work at the same time; None: nothing.

    end: when the last attempt or step was over; None when there was none.
    Pods are waited for only as long as they may take to save: a cache may show one that is gone, and a lost node's
    pods cannot write checkpoints any more because of the owner file.
    """
    is_late = end is None or is_due(end, end + grace + STUCK, now)
    for job in children.jobs:
        if not job.is_finished and not (job.deleting and is_late):
            return f"waiting for Job {job.name} to be deleted"
    for pod in children.pods:
        if not is_late and not pod.has_ended and not is_lost(pod, now):
            return f"waiting for pod {pod.name} to save and stop"
    return None
