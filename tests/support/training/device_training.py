"""Training on a device: the same tests run on the CPU and, where there is one, on a GPU."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from support.training.tiny_training import OCR2, build_model, build_samples, build_settings, build_stepper

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from deepsynth_train.coordination.world import World
    from deepsynth_train.models.interface.page_model import Batch
    from deepsynth_train.optimization.step import StepOutcome, Stepper


def build_device_world(device: torch.device) -> World:
    """One process."""
    from deepsynth_train.coordination.world import World

    return World(0, 1, 0, 1, device)


def start_training(device: torch.device, uri: str = OCR2, **changes: Any) -> Stepper:
    """A small model on `device`, with the same weights on each, placed as a run places it. changes: settings."""
    from deepsynth_train.optimization.precision import LossScale, build_autocast
    from deepsynth_train.optimization.sharding import build_reduction, place_module

    settings, world = build_settings(uri, **changes), build_device_world(device)
    model = build_model(uri, **changes)
    place_module(model.module, settings, world)
    model.module.train()
    stepper = build_stepper(model, settings, world, build_reduction(model.module, settings, world))
    stepper.autocast = build_autocast(settings.precision, device)
    stepper.loss_scale = LossScale.build(settings.precision)
    return stepper


def build_batches(stepper: Stepper, count: int) -> list[Batch]:
    """Two samples each. Pinned for a GPU, as a run's batches are."""
    samples = build_samples(stepper.model, 2 * count)
    batches = [stepper.model.family.collate(samples[2 * number : 2 * number + 2]) for number in range(count)]
    return [batch.pin() for batch in batches] if stepper.world.device.type == "cuda" else batches


def take_steps(stepper: Stepper, batches: list[Batch]) -> list[StepOutcome]:
    """One step for each batch."""
    from deepsynth_train.optimization.step import Flags

    return [stepper.run(iter([batch]), 1, 1e-3, Flags()) for batch in batches]


@contextmanager
def forbid_waits(device: torch.device) -> Iterator[None]:
    """Fails where the host waits for `device`. On a GPU torch itself raises, on the CPU this does."""
    import torch

    from support.training.host_waits import HostWaits

    if device.type == "cpu":
        with HostWaits() as waits:
            yield
        assert waits.found == []
        return
    torch.cuda.synchronize(device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
