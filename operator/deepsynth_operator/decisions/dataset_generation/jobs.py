"""status.jobs of a DatasetGeneration: one entry per Job, written before the Job is created.

The Job controller retries pods (a failure counts against backoffLimitPerIndex, a disruption does not), so a Job that
Failed is the end. A Job that was deleted, that hangs on a lost node, or whose report was lost is replaced by another.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, StepOutcome
from deepsynth_operator.core.observed import ObservedJob, ObservedPod, Refusal
from deepsynth_operator.decisions.shared.deadline import find_deadline_verdict
from deepsynth_operator.decisions.shared.lost_node import describe_lost, is_lost
from deepsynth_operator.decisions.shared.starting import find_configuration_error
from deepsynth_operator.decisions.training_run.attempts import SUSPENDED
from deepsynth_operator.decisions.training_run.ending import has_caught_up

StepName = Literal["plan", "render", "publish"]
MAX_JOBS_WITHOUT_PROGRESS: Final = 10
KEPT_JOBS: Final = MAX_JOBS_WITHOUT_PROGRESS
REPORT_LOST: Final = "ReportLost"
MOST_LOST_REPORTS: Final = 3
BASE_DELAY_SECONDS: Final = 10
MAX_DELAY_SECONDS: Final = 600
BETWEEN_SHARDS: Final = timedelta(seconds=60)
"""A Job is at work still when a pod has ended just now: the next one starts."""
START_TIMEOUT: Final = timedelta(seconds=600)
"""How long a pod that has a node may wait for what a person has to mend. For a node it waits without limit."""


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


def compute_number(status: DatasetGenerationStatus, step: StepName) -> int:
    """Number of the next Job of `step`: one more than that of the last, so that no name is used twice."""
    return max((job.number for job in status.jobs if job.step == step), default=0) + 1


def compute_due_time(status: DatasetGenerationStatus) -> datetime | None:
    """When the next Job may start; None: at once. Disruptions in a row delay it more and more."""
    disrupted = 0
    for job in reversed(status.jobs):
        if job.outcome != "Disrupted":
            break
        disrupted += 1
    if disrupted == 0:
        return None
    last = status.jobs[-1]
    delay = min(BASE_DELAY_SECONDS * 2 ** (disrupted - 1), MAX_DELAY_SECONDS)
    return (last.end_time or last.start_time) + timedelta(seconds=delay)


def observe_job(entry: ChildJob, job: ObservedJob | None, pods: Sequence[ObservedPod]) -> ChildJob:
    """Note the Job's uid and when its first container started."""
    started = min((pod.started for pod in pods if pod.started is not None), default=None)
    return entry.updated(uid=entry.uid or (job.uid if job else ""), running_time=entry.running_time or started)


def conclude_job(
    generation: DatasetGeneration,
    entry: ChildJob,
    job: ObservedJob | None,
    pods: Sequence[ObservedPod],
    *,
    now: datetime,
    refusal: Refusal | None = None,
) -> ChildJob | None:
    """`entry` with its outcome if the Job is over, else None. First match."""
    if job is not None and job.is_finished:
        return _conclude_finished(entry, job, pods, now)
    if (verdict := find_deadline_verdict(generation, generation.status.start_time, now)) is not None:
        return _end(entry, now, "Failed", verdict.reason, verdict.message)
    if generation.spec.suspend:
        return _end(entry, now, "Suspended", SUSPENDED, "spec.suspend is true")
    if job is None and entry.uid:
        return _end(entry, now, "Disrupted", "JobDeleted", f"Job {entry.name} was deleted")
    if job is None:
        return _end(entry, now, "Failed", refusal.reason, refusal.message) if refusal is not None else None
    if (lost := next((pod for pod in pods if is_lost(pod, now)), None)) is not None:
        return _end(entry, now, "Disrupted", "NodeLost", describe_lost(lost))
    return _conclude_stuck([*generation.status.jobs[-2:-1], entry], pods, now)


def _conclude_stuck(jobs: Sequence[ChildJob], pods: Sequence[ObservedPod], now: datetime) -> ChildJob | None:
    """Where a pod of this Job or of the one before ran, image and Secrets are there, and the node is at fault."""
    living = [pod for pod in pods if not pod.has_ended]
    hindered = [pod for pod in living if pod.scheduled is not None and now >= pod.scheduled + START_TIMEOUT]
    error = find_configuration_error(hindered)
    at_work = any(pod.is_at_work or (pod.finished is not None and now < pod.finished + BETWEEN_SHARDS) for pod in pods)
    if error is None or at_work:
        return None
    outcome: StepOutcome = "Failed" if all(job.running_time is None for job in jobs) else "Disrupted"
    return _end(jobs[-1], now, outcome, error.reason, error.message)


def reject_success(entry: ChildJob, now: datetime) -> ChildJob:
    """A Job that is Complete, but whose report nobody saw: what it found must be found again."""
    return _end(entry, now, "Disrupted", REPORT_LOST, f"the report of Job {entry.name} was lost")


def has_lost_reports(status: DatasetGenerationStatus) -> bool:
    """Whether so many Jobs in a row ended well without a report that it is no accident."""
    last = status.jobs[-MOST_LOST_REPORTS:]
    return len(last) == MOST_LOST_REPORTS and all(job.reason == REPORT_LOST for job in last)


def lacks_progress(status: DatasetGenerationStatus) -> bool:
    """Whether so many Jobs in a row were disrupted, and no shard was finished meanwhile, that another will not help."""
    last = status.jobs[-MAX_JOBS_WITHOUT_PROGRESS:]
    return (
        len(last) == MAX_JOBS_WITHOUT_PROGRESS
        and all(job.outcome == "Disrupted" for job in last)
        and last[0].shards_done == last[-1].shards_done
    )


def _conclude_finished(
    entry: ChildJob, job: ObservedJob, pods: Sequence[ObservedPod], now: datetime
) -> ChildJob | None:
    if not has_caught_up(job, pods, now):
        return None
    if job.is_complete and not job.failed_indexes:
        return _end(entry, now, "Succeeded", "Succeeded", "")
    return _end(entry, now, "Failed", job.failure_reason or "FailedIndexes", job.failure_message)


def _end(entry: ChildJob, now: datetime, outcome: StepOutcome, reason: str, message: str) -> ChildJob:
    return entry.updated(end_time=now, outcome=outcome, reason=reason, message=message[:1024])
