"""status.jobs of a DatasetGeneration: one entry per Job, written before the Job is created.

The Job controller retries pods (a failure counts against backoffLimitPerIndex, a disruption does not), so a Job that
has failed is the end. A Job that was deleted, that hangs on a lost node, or whose report was lost is replaced.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, GenerationSummary
from deepsynth_operator.core.observed import ObservedJob, ObservedPod
from deepsynth_operator.decisions.shared.decision import MAX_ENTRY_MESSAGE, Cause
from deepsynth_operator.decisions.shared.obstacles import remember_obstacle
from deepsynth_operator.manifests.names import build_job_name

StepName = Literal["plan", "render", "publish"]
MAX_JOBS_WITHOUT_PROGRESS: Final = 10
MAX_KEPT_JOBS: Final = MAX_JOBS_WITHOUT_PROGRESS
"""As many as it takes to see that there is no progress."""


def get_last(status: DatasetGenerationStatus) -> ChildJob | None:
    return status.jobs[-1] if status.jobs else None


def get_live(status: DatasetGenerationStatus) -> ChildJob | None:
    """The Job that is not over, if there is one."""
    last = get_last(status)
    return last if last is not None and last.outcome is None else None


def replace_last(status: DatasetGenerationStatus, job: ChildJob) -> DatasetGenerationStatus:
    return status.updated(jobs=[*status.jobs[:-1], job])


def compute_next_step(status: DatasetGenerationStatus) -> StepName | None:
    """The step that comes next, when no Job is live; None when all are done."""
    if status.plan is None:
        return "plan"
    if status.output is not None:
        return None
    last = status.jobs[-1]
    done = last.outcome == "Succeeded"
    return "publish" if last.step == "publish" or (last.step == "render" and done) else "render"


def start_job(
    generation: DatasetGeneration, status: DatasetGenerationStatus, step: StepName, image: str, now: datetime
) -> DatasetGenerationStatus:
    """Add the entry of the next Job of `step`. Its number follows that of the last one, so no name is used twice."""
    number = max((job.number for job in status.jobs if job.step == step), default=0) + 1
    name = build_job_name(generation, step, number)
    entry = ChildJob(step=step, name=name, number=number, start_time=now, image=image)
    return status.updated(jobs=[*status.jobs, entry][-MAX_KEPT_JOBS:], start_time=status.start_time or now)


def observe_job(entry: ChildJob, job: ObservedJob | None, pods: Sequence[ObservedPod], now: datetime) -> ChildJob:
    """Record the Job's uid, when its first container started, and what kept its pods from it."""
    started = entry.running_time or min((pod.started for pod in pods if pod.started is not None), default=None)
    return entry.updated(
        uid=entry.uid or (job.uid if job else ""),
        running_time=started,
        obstacle="" if started is not None else remember_obstacle(entry.obstacle, pods, now),
    )


def drop_start(status: DatasetGenerationStatus) -> DatasetGenerationStatus:
    """`status` without what `observe_job` records of the last Job, and without what describes it."""
    last = [job.updated(uid="", running_time=None, cpus_per_pod=None, price=None) for job in status.jobs[-1:]]
    return status.updated(jobs=[*status.jobs[:-1], *last], conditions=[], summary=GenerationSummary(), progress=None)


def end_job(entry: ChildJob, cause: Cause, now: datetime) -> ChildJob:
    """`entry` with this outcome."""
    message = cause.message[:MAX_ENTRY_MESSAGE]
    return entry.updated(end_time=now, outcome=cause.outcome, reason=cause.reason, message=message)
