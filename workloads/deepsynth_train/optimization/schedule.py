"""The learning rate as a function of the optimizer step. Pure; the same as transformers' schedules of these names."""

import math

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import OptimizerSettings


def compute_warmup_steps(settings: OptimizerSettings, total_steps: int) -> int:
    """Raises ConfigurationError when both fields are set or the warm-up is longer than the run."""
    if settings.warmup_steps is not None and settings.warmup_ratio is not None:
        raise ConfigurationError("spec.optimizer: set warmupSteps or warmupRatio, not both")
    if settings.warmup_ratio is not None:
        return math.ceil(float(settings.warmup_ratio) * total_steps)
    warmup = settings.warmup_steps or 0
    if warmup > total_steps:
        raise ConfigurationError(f"spec.optimizer.warmupSteps: must be at most {total_steps}, all steps, got {warmup}")
    return warmup


def compute_learning_rate(settings: OptimizerSettings, step: int, total_steps: int) -> float:
    """Learning rate of optimizer step `step`, counted from 0 (micro-batches are not steps)."""
    peak = float(settings.learning_rate)
    warmup = compute_warmup_steps(settings, total_steps)
    if step < warmup:
        return peak * step / warmup
    if settings.schedule == "constant":
        return peak
    done = (step - warmup) / max(1, total_steps - warmup)
    if settings.schedule == "linear":
        return peak * max(0.0, 1 - done)
    return peak * max(0.0, 0.5 * (1 + math.cos(math.pi * done)))
