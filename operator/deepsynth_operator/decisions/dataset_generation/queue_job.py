"""The queue Job of a DatasetGeneration: its one place in a queue, and its quota, from plan to publish.

    DatasetGeneration ──▶ queue Job, in the queue ──▶ plan, then render, then publish: Jobs that are not in the queue
                          without pods                exist only while the queue Job is admitted

If each step were a Job in the queue, another tenant could take the quota between two of them. Kueue does not queue the
Jobs that a Job in a queue owns, and suspends them when it evicts that one. A step that it has suspended is over; the
next Job of the step continues it. Kubernetes makes no pods for the queue Job, because spec.managedBy names the
operator, which reports for it how many pods use its quota.
"""

from collections.abc import Sequence
from typing import Final

from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus
from deepsynth_operator.core.observed import Children, ObservedGeneration, ObservedJob, ObservedPod
from deepsynth_operator.decisions.dataset_generation.jobs import count_rendered
from deepsynth_operator.decisions.shared.decision import Action, CreateJob, SetParallelism, SetPodCounts
from deepsynth_operator.decisions.shared.queues import change_queue
from deepsynth_operator.manifests.names import build_queue_job_name

_STEPS_WITH_ONE_POD: Final = frozenset({"publish"})
"""After it, no step needs more. Plan has one pod, too, but the quota of render must be there when it ends."""


def find_queue_job(generation: DatasetGeneration, children: Children) -> ObservedJob | None:
    return children.find_job(build_queue_job_name(generation))


def needs_queue_job(observed: ObservedGeneration) -> bool:
    """Whether the Jobs of its steps wait for a queue Job. One that exists stays, even if the label is removed."""
    generation = observed.generation
    is_labelled = QUEUE_NAME in generation.metadata.labels
    return is_labelled or find_queue_job(generation, observed.children) is not None


def count_room(generation: DatasetGeneration, job: ObservedJob, queue_job: ObservedJob | None) -> int:
    """How many pods a generation may have at the same time, by its spec and by the quota that `job` uses."""
    if queue_job is None or job.queue_job is None:
        return generation.spec.parallelism
    return min(generation.spec.parallelism, max(queue_job.parallelism - queue_job.succeeded, 1))


def follow_queue(status: DatasetGenerationStatus, observed: ObservedGeneration) -> list[Action]:
    """What makes the queue Job follow the generation, which is neither finished nor suspended.

    It is only created between two steps: a step that began without it, in an earlier version, ends without it.
    """
    generation, job = observed.generation, find_queue_job(observed.generation, observed.children)
    if job is None:
        is_between = not status.jobs or status.jobs[-1].outcome is not None
        wanted = needs_queue_job(observed) and is_between
        return [CreateJob(build_queue_job_name(generation))] if wanted else []
    actions: list[Action] = []
    # Kueue stops a Job that no longer has the pods that it was admitted with.
    if job.suspended and job.succeeded == 0 and job.parallelism != generation.spec.parallelism:
        actions.append(SetParallelism(job.name, job.uid, generation.spec.parallelism))
    if (change := change_queue(generation, job)) is not None:
        actions.append(change)
    counts = _count_pods(status, job, observed.children.pods)
    if (counts.active, counts.ready, counts.succeeded) != (job.active, job.ready, job.succeeded):
        actions.append(counts)
    return actions


def _count_pods(status: DatasetGenerationStatus, job: ObservedJob, pods: Sequence[ObservedPod]) -> SetPodCounts:
    """As Kueue reads them.

    active: it gives the quota away only when there are none. ready: it waits for all of them, once. succeeded: quota
    that is not needed any more.
    """
    succeeded = job.succeeded if job.suspended else max(job.succeeded, job.parallelism - _count_needed(status, job))
    left = job.parallelism - succeeded
    has_run = any(entry.running_time is not None for entry in status.jobs)
    is_at_work = has_run and not job.suspended
    is_alive = any(not pod.has_ended for pod in pods)
    return SetPodCounts(
        job.name,
        job.uid,
        active=left if is_at_work or is_alive else 0,
        ready=left if is_at_work else 0,
        succeeded=succeeded,
    )


def _count_needed(status: DatasetGenerationStatus, job: ObservedJob) -> int:
    """How many pods the step at hand, and those after it, have at the same time."""
    step = status.jobs[-1].step if status.jobs else "plan"
    if step in _STEPS_WITH_ONE_POD:
        return 1
    plan = status.plan
    shards = plan.shards - count_rendered(status.jobs, plan.staging, plan.shards) if plan else job.parallelism
    return max(min(job.parallelism, shards), 1)


def get_reason(status: DatasetGenerationStatus) -> str:
    """Why the queue Job waits, if its Workload says nothing more."""
    last = status.jobs[-1] if status.jobs else None
    is_evicted = last is not None and last.reason == Reason.REQUEUED_BY_QUEUE
    return Reason.REQUEUED_BY_QUEUE if is_evicted else Reason.QUEUED
