"""What the policies of a TrainingRun see."""

from dataclasses import dataclass
from datetime import datetime

from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_operator.core.observed import ObservedJob, ObservedRun
from deepsynth_operator.decisions.training_run.attempts import get_last, is_requeued


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
    def requeued_job(self) -> ObservedJob | None:
        """The Job of the last attempt, if a queue evicted it and may admit it again."""
        if self.last is None or not is_requeued(self.last):
            return None
        job = self.observed.children.find_job(self.last.job)
        return job if job is not None and not job.is_finished else None
