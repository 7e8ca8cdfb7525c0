"""spec.activeDeadlineSeconds: counted from status.startTime, whatever the resource does, suspended included."""

from datetime import datetime, timedelta

from deepsynth_api.labels import Resource
from deepsynth_operator.decisions.training_run.backoff import Verdict


def find_deadline_verdict(resource: Resource, start: datetime | None, now: datetime) -> Verdict | None:
    """The verdict once the deadline has passed."""
    seconds = resource.spec.active_deadline_seconds
    if seconds is None or start is None or now < start + timedelta(seconds=seconds):
        return None
    return Verdict("DeadlineExceeded", f"not finished {seconds} s after startTime (activeDeadlineSeconds)")


def compute_deadline_wait(resource: Resource, start: datetime | None, now: datetime) -> float:
    """Seconds until the deadline; infinite without one."""
    seconds = resource.spec.active_deadline_seconds
    if seconds is None or start is None:
        return float("inf")
    return max((start + timedelta(seconds=seconds) - now).total_seconds(), 1.0)
