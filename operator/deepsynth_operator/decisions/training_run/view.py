"""What the policies of a TrainingRun see."""

from dataclasses import dataclass
from datetime import datetime

from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_operator.core.observed import Children, ObservedJob, ObservedRun
from deepsynth_operator.decisions.training_run.attempts import get_last, is_requeued, may_restart


@dataclass(frozen=True, slots=True)
class RunView:
    """A run between two attempts. status: with everything that was observed; observed.run has the status before."""

    observed: ObservedRun
    status: TrainingRunStatus
    now: datetime

    @property
    def run(self) -> TrainingRun:
        return self.observed.run

    @property
    def last(self) -> Attempt | None:
        return get_last(self.status)

    @property
    def is_held(self) -> bool:
        """Whether the pods of the kept Job were ended so that they start again together."""
        job, last = self.kept_job, self.last
        return job is not None and last is not None and job.is_held and job.restarted_after == last.number

    @property
    def kept_job(self) -> ObservedJob | None:
        """The Job of the last attempt, if the next one runs it too: as soon as its queue resumes it."""
        return find_kept_job(self.status, self.observed.children)


def find_kept_job(status: TrainingRunStatus, children: Children) -> ObservedJob | None:
    """The Job of the last attempt, which is over, if the next one runs it too.

    A queue has evicted it and may admit it again, or its pods are restarted: see `may_restart`.
    """
    last = get_last(status)
    job = children.find_job(last.job) if last is not None else None
    if job is None or job.is_finished:
        return None
    return job if is_requeued(status) or may_restart(status, job) else None
