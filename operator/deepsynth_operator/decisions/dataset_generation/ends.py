"""When the Job of a step is over, and with which outcome: the policies that only generations have.

The order is in `policies.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob
from deepsynth_operator.core.observed import ObservedJob
from deepsynth_operator.decisions.shared.decision import Cause
from deepsynth_operator.decisions.shared.ends import LiveJob
from deepsynth_operator.decisions.shared.obstacles import find_configuration_error
from deepsynth_operator.manifests.names import build_queue_job_name

BETWEEN_SHARDS: Final = timedelta(seconds=60)
"""A Job whose pod ended this recently is at work: the next pod is starting."""
START_TIMEOUT: Final = timedelta(seconds=600)
"""How long a pod that has a node may wait for something a user has to fix. For a node it waits without a limit."""


@dataclass(frozen=True, slots=True)
class LiveStep(LiveJob):
    """What the end policies of a generation see. entries: the last two of status.jobs; the live one comes last."""

    resource: DatasetGeneration
    entries: Sequence[ChildJob]
    queue_job: ObservedJob | None = None


def succeeded(live: LiveStep) -> Cause | None:
    job = live.job
    done = job is not None and job.is_complete and not job.failed_indexes
    return Cause("Succeeded", Reason.SUCCEEDED, "") if done else None


def failed(live: LiveStep) -> Cause | None:
    job = live.job
    if job is None or not job.is_finished:
        return None
    return Cause("Failed", job.failure_reason or Reason.FAILED_INDEXES, job.failure_message)


def requeued(live: LiveStep) -> Cause | None:
    """Kueue suspends the Job of a step with the queue Job, but resumes only the latter."""
    job, queue_job = live.job, live.queue_job
    is_new = job is None and not live.existed
    # A Job of an earlier version is in the queue itself.
    uses_it = QUEUE_NAME in live.resource.metadata.labels if is_new else job is not None and job.queue_job is not None
    if not uses_it:
        return None
    if queue_job is None:
        return Cause("Disrupted", Reason.JOB_DELETED, f"Job {build_queue_job_name(live.resource)} was deleted")
    taken = queue_job.suspended or (job is not None and job.suspended)
    return Cause("Suspended", Reason.REQUEUED_BY_QUEUE, "the queue took its resources back") if taken else None


def stuck(live: LiveStep) -> Cause | None:
    """If a pod of this Job or of the one before ran, the image and the Secrets exist, and it is the node's fault."""
    now = live.now
    living = [pod for pod in live.pods if not pod.has_ended]
    waiting = [pod for pod in living if pod.scheduled is not None and now >= pod.scheduled + START_TIMEOUT]
    error = find_configuration_error(waiting)
    at_work = any(
        pod.is_at_work or (pod.finished is not None and now < pod.finished + BETWEEN_SHARDS) for pod in live.pods
    )
    if error is None or at_work:
        return None
    never_ran = all(entry.running_time is None for entry in live.entries)
    return Cause("Failed" if never_ran else "Disrupted", error.reason, error.message)


def report_lost(entry: ChildJob) -> Cause:
    """The Job is Complete, but nobody saw its report: what it found has to be found again."""
    return Cause("Disrupted", Reason.REPORT_LOST, f"the report of Job {entry.name} was lost")
