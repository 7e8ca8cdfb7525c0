"""Finished resources: they stay finished, and spec.ttlSecondsAfterFinished removes their Jobs.

The resource itself is never removed: a GitOps tool would create it again, and it would run again.
"""

from datetime import datetime, timedelta

from deepsynth_api.v1alpha1 import Resource
from deepsynth_operator.core.observed import Children
from deepsynth_operator.decisions.shared.decision import RESYNC_SECONDS, Decision, DeleteJob, Status


def decide_finished(resource: Resource, status: Status, children: Children, now: datetime) -> Decision[Status]:
    """Acknowledge later generations of the spec, and clean up."""
    generation = resource.metadata.generation
    conditions = [condition.updated(observed_generation=generation) for condition in status.conditions]
    status = status.updated(observed_generation=generation, conditions=conditions)
    actions, wait = _clean_up(resource, status.completion_time or now, children, now)
    return Decision(status, actions, requeue_after=wait)


def compute_cleanup_wait(resource: Resource) -> float | None:
    """Seconds until the Jobs of a resource that finishes now are to be deleted; None: never."""
    ttl = resource.spec.ttl_seconds_after_finished
    return None if ttl is None else float(ttl)


def _clean_up(
    resource: Resource, completion: datetime, children: Children, now: datetime
) -> tuple[tuple[DeleteJob, ...], float | None]:
    """The Jobs to delete now, and seconds until there may be more to delete.

    Jobs that still run are deleted at once: the resource was stopped before they ended.
    """
    ttl = resource.spec.ttl_seconds_after_finished
    wait = float("inf") if ttl is None else (completion + timedelta(seconds=ttl) - now).total_seconds()
    doomed = [job for job in children.jobs if not job.deleting and (wait <= 0 or not job.is_finished)]
    if doomed:
        return tuple(DeleteJob(job.name, job.uid) for job in doomed), RESYNC_SECONDS
    return (), wait if children.jobs and 0 < wait < float("inf") else None
