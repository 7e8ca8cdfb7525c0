"""Pages a second of the training step, forward to update, without reading data: python benchmarks/trainer.py [SIDE]."""

import sys
import time

import numpy as np
import torch

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models import Batch, PageModel, Sample, build_page_model
from deepsynth_train.optimizer import build_optimizer
from deepsynth_train.precision import LossScale, build_autocast
from deepsynth_train.sharding import build_reduction, place_module
from deepsynth_train.step import Flags, Stepper
from deepsynth_train.world import join_world

STEPS = 5
LABEL_TOKENS = 60


def build_batch(model: PageModel, samples: int) -> Batch:
    """Noise for pages and letters for labels; speed does not depend on what they show."""
    generator = np.random.default_rng(0)
    shape = (1, 3, model.image.side, model.image.side)
    made = [
        Sample(generator.integers(0, 256, shape, dtype=np.uint8), generator.integers(40, 90, LABEL_TOKENS).tolist())
        for _ in range(samples)
    ]
    return model.family.collate(made)


def measure(side: int, micro_batch: int) -> tuple[float, float]:
    """Pages per second of wall time and of processor time, of this process."""
    world = join_world()
    settings = TrainingSettings.model_validate(
        {
            "model": {"uri": "config://deepseek-ocr2-tiny"},
            "imageProcessor": {"size": side},
            "checkpoint": {"uri": "file:///nowhere"},
            "precision": "bf16" if world.device.type == "cuda" else "fp32",
        }
    )
    model = build_page_model(settings)
    place_module(model.module, settings, world)
    stepper = Stepper(
        model=model,
        optimizer=build_optimizer(model.module, settings.optimizer),
        reduction=build_reduction(model.module, settings, world),
        world=world,
        autocast=build_autocast(settings.precision, world.device),
        loss_scale=LossScale.build(settings.precision),
        max_grad_norm=1.0,
    )
    batch = build_batch(model, micro_batch)
    stepper.run(iter([batch]), 1, 1e-3, Flags())
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        stepper.run(iter([batch]), 1, 1e-3, Flags())
    pages = STEPS * micro_batch
    return pages / (time.perf_counter() - wall), pages / (time.process_time() - processor)


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    print(f"config://deepseek-ocr2-tiny, {side} px pages, torch {torch.__version__}")
    for micro_batch in (1, 2, 4, 8):
        wall, processor = measure(side, micro_batch)
        print(f"microBatchSize {micro_batch}: {wall:.1f} pages/s, {processor:.1f} pages per processor second")


if __name__ == "__main__":
    main()
