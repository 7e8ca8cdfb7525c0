"""status.jobs of a DatasetGeneration: one entry per Job, written before the Job is created.

The Job controller retries pods (a failure counts against backoffLimitPerIndex, a disruption does not), so a Job that
has failed is the end. A Job that was deleted, that hangs on a lost node, or whose report was lost is replaced.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, GenerationSummary
from deepsynth_operator.core.observed import Children, ObservedJob, ObservedPod
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


def get_ahead(status: DatasetGenerationStatus) -> ChildJob | None:
    """The newest Job that renders ahead of the plan, unless it has succeeded: then it is in status.jobs."""
    return status.ahead.job if status.ahead is not None else None


def list_live(status: DatasetGenerationStatus) -> list[ChildJob]:
    """The Jobs that are not over: one, or that of the plan and then one that renders ahead of it."""
    return [job for job in (get_live(status), get_ahead(status)) if job is not None and job.outcome is None]


def list_newest(status: DatasetGenerationStatus) -> list[ChildJob]:
    """The last Job, and the one that renders ahead: the entries that may still change."""
    return [job for job in (get_last(status), get_ahead(status)) if job is not None]


def list_jobs(status: DatasetGenerationStatus) -> list[ChildJob]:
    """All entries, including that of the Job that renders ahead."""
    ahead = get_ahead(status)
    return status.jobs if ahead is None else [*status.jobs, ahead]


def list_tries(status: DatasetGenerationStatus) -> list[ChildJob]:
    """status.jobs, while there is no plan without those that rendered ahead: they are no tries of it."""
    return [job for job in status.jobs if status.plan is not None or job.step == "plan"]


def replace_job(status: DatasetGenerationStatus, job: ChildJob) -> DatasetGenerationStatus:
    """`status` with the entry of this name, where there is one, replaced."""
    if status.ahead is not None and status.ahead.job is not None and status.ahead.job.name == job.name:
        return status.updated(ahead=status.ahead.updated(job=job))
    return status.updated(jobs=[job if entry.name == job.name else entry for entry in status.jobs])


def replace_last(status: DatasetGenerationStatus, job: ChildJob) -> DatasetGenerationStatus:
    return status.updated(jobs=[*status.jobs[:-1], job])


def compute_next_step(status: DatasetGenerationStatus) -> StepName | None:
    """The step that comes next, when no Job is live; None when all are done."""
    if status.plan is None:
        return "plan"
    if status.output is not None:
        return None
    is_rendered = count_rendered(status.jobs, status.plan.staging, status.plan.shards) >= max(status.plan.shards, 1)
    return "publish" if status.jobs[-1].step == "publish" or is_rendered else "render"


def count_rendered(jobs: Iterable[ChildJob], staging: str, shards: int) -> int:
    """How many of `shards` Jobs have rendered that succeeded: each begins where those before it ended.

    staging: what names the folder of the shards. Those of another folder are not part of this dataset.
    """
    ends = (
        job.first_shard + (shards if job.shards is None else job.shards)
        for job in jobs
        if job.step == "render" and job.outcome == "Succeeded" and job.staging == staging
    )
    return min(max(ends, default=0), shards)


def get_shard_pods(entry: ChildJob, children: Children) -> list[ObservedPod]:
    """The pods of a Job. If it renders, with the number of the shard as their index."""
    pods, first = children.get_pods(entry.name), entry.first_shard
    return [replace(pod, index=pod.index + first) for pod in pods] if first else pods


def is_in_folder(status: DatasetGenerationStatus, staging: str) -> bool:
    """Whether the last shards that were rendered, if any, are in the folder that `staging` names."""
    return next((job.staging == staging for job in reversed(list_jobs(status)) if job.step == "render"), True)


def start_job(
    generation: DatasetGeneration, status: DatasetGenerationStatus, step: StepName, image: str, now: datetime
) -> DatasetGenerationStatus:
    """Add the entry of the next Job of `step`."""
    entry = build_entry(generation, status, step, image, now).updated(**_choose_shards(status, step))
    return status.updated(jobs=keep_newest([*status.jobs, entry]), start_time=status.start_time or now)


def build_entry(
    generation: DatasetGeneration, status: DatasetGenerationStatus, step: StepName, image: str, now: datetime
) -> ChildJob:
    """The entry of the next Job of `step`. Its number follows that of the last one, so no name is used twice."""
    number = max((job.number for job in list_jobs(status) if job.step == step), default=0) + 1
    return ChildJob(
        step=step, name=build_job_name(generation, step, number), number=number, start_time=now, image=image
    )


def _choose_shards(status: DatasetGenerationStatus, step: StepName) -> dict[str, Any]:
    """Fields of the entry of a render Job: the shards that no Job before it has rendered."""
    plan = status.plan
    if step != "render" or plan is None:
        return {}
    done = count_rendered(status.jobs, plan.staging, plan.shards)
    return {"staging": plan.staging, **({"first_shard": done, "shards": plan.shards - done} if done else {})}


def keep_newest(jobs: Sequence[ChildJob]) -> list[ChildJob]:
    """The last ten of each step: which numbers are taken, and how far the shards are rendered, is never forgotten."""
    later: Counter[str] = Counter()
    kept = []
    for job in reversed(jobs):
        later[job.step] += 1
        if later[job.step] <= MAX_KEPT_JOBS:
            kept.append(job)
    return kept[::-1]


def observe_job(entry: ChildJob, job: ObservedJob | None, pods: Sequence[ObservedPod], now: datetime) -> ChildJob:
    """Record the Job's uid, when its first container started, and what kept its pods from it."""
    started = entry.running_time or min((pod.started for pod in pods if pod.started is not None), default=None)
    return entry.updated(
        uid=entry.uid or (job.uid if job else ""),
        running_time=started,
        obstacle="" if started is not None else remember_obstacle(entry.obstacle, pods, now),
    )


def drop_start(status: DatasetGenerationStatus) -> DatasetGenerationStatus:
    """`status` without what `observe_job` records of the newest Jobs, and without what describes them."""
    for job in list_newest(status):
        status = replace_job(status, job.updated(uid="", running_time=None, cpus_per_pod=None, price=None))
    ahead = status.ahead and status.ahead.updated(staged_shards=0)
    return status.updated(conditions=[], summary=GenerationSummary(), progress=None, ahead=ahead)


def end_job(entry: ChildJob, cause: Cause, now: datetime) -> ChildJob:
    """`entry` with this outcome."""
    message = cause.message[:MAX_ENTRY_MESSAGE]
    return entry.updated(end_time=now, outcome=cause.outcome, reason=cause.reason, message=message)
