"""spec.ttlSecondsAfterFinished: removes the Jobs of a finished resource, never the resource itself.

A GitOps tool would create a removed resource again, and it would run again.
"""

from datetime import datetime, timedelta

from deepsynth_api.labels import Resource
from deepsynth_operator.core.observed import Children
from deepsynth_operator.decisions.shared.decision import RESYNC_SECONDS, DeleteJob


def decide_cleanup(
    resource: Resource, completion: datetime, children: Children, now: datetime
) -> tuple[tuple[DeleteJob, ...], float | None]:
    """What to delete of a finished resource now, and seconds until there may be more to delete.

    Jobs that still run are deleted at once: the resource was stopped, not awaited.
    """
    ttl = resource.spec.ttl_seconds_after_finished
    wait = float("inf") if ttl is None else (completion + timedelta(seconds=ttl) - now).total_seconds()
    doomed = [job for job in children.jobs if not job.deleting and (wait <= 0 or not job.is_finished)]
    if doomed:
        return tuple(DeleteJob(job.name, job.uid) for job in doomed), RESYNC_SECONDS
    return (), wait if children.jobs and 0 < wait < float("inf") else None
