"""How many steps a run has, and when to evaluate and save. Pure: the clock is an argument."""

from dataclasses import dataclass
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import CheckpointSettings, TrainingSettings

DEFAULT_SAVE_SECONDS: Final = 600


def compute_total_steps(settings: TrainingSettings, epoch_length: int, missing: int = 0) -> int:
    """Optimizer steps of the whole run. With `epochs`, the last batch may be smaller. missing: see the sampler.

    Raises ConfigurationError when both epochs and maxSteps are set.
    """
    if settings.max_steps is not None:
        if settings.epochs is not None:
            raise ConfigurationError("spec: set epochs or maxSteps, not both")
        return settings.max_steps
    visits = (settings.epochs or 1) * epoch_length
    return -(-(visits + missing) // settings.global_batch_size)


@dataclass(frozen=True)
class Cadence:
    """In all methods, `step` optimizer steps are done."""

    total_steps: int
    epoch_length: int
    global_batch_size: int
    evaluate_every: int | None
    checkpoint: CheckpointSettings
    missing: int = 0
    """Samples that earlier steps took less than a whole batch each; see the sampler."""

    def is_evaluation_due(self, step: int) -> bool:
        """At the last step, and every spec.evaluation.everySteps steps or, without it, at the end of each epoch."""
        if step == self.total_steps:
            return True
        if self.evaluate_every:
            return step % self.evaluate_every == 0
        return self._epoch(step) > self._epoch(step - 1)

    def is_save_due(self, step: int) -> bool:
        """By the number of steps; see `wants_save` for the clock."""
        every = self.checkpoint.every_steps
        return step == self.total_steps or (every is not None and step % every == 0)

    def wants_save(self, seconds_since_save: float) -> bool:
        """By rank 0's clock; the clocks of other ranks do not count."""
        seconds = self.checkpoint.every_seconds
        if seconds is None and self.checkpoint.every_steps is None:
            seconds = DEFAULT_SAVE_SECONDS
        return seconds is not None and seconds_since_save >= seconds

    def _epoch(self, step: int) -> int:
        return (step * self.global_batch_size - self.missing) // self.epoch_length
