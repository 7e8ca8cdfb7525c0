"""What the policies of a DatasetGeneration see."""

from dataclasses import dataclass
from datetime import datetime

from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob
from deepsynth_operator.core.observed import ObservedGeneration, ObservedJob
from deepsynth_operator.decisions.dataset_generation.jobs import get_last
from deepsynth_operator.decisions.dataset_generation.queue_job import find_queue_job


@dataclass(frozen=True, slots=True)
class GenerationView:
    """A generation between two Jobs. status: with everything that was observed."""

    observed: ObservedGeneration
    status: DatasetGenerationStatus
    now: datetime

    @property
    def generation(self) -> DatasetGeneration:
        return self.observed.generation

    @property
    def queue_job(self) -> ObservedJob | None:
        return find_queue_job(self.generation, self.observed.children)

    @property
    def last(self) -> ChildJob | None:
        return get_last(self.status)
