"""Pages per second of the training step, compared with Hugging Face's Trainer: `make benchmark-trainer`.

Both train the same model on the same batch, so no time is spent on reading data.

    python benchmarks/trainer.py [SIDE]     SIDE: width and height of a page in pixels (512)
"""

import sys
import tempfile
import time
from typing import Any

import numpy as np
import torch
from PIL import Image

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.coordination.world import World, join_world
from deepsynth_train.models.build import build_page_model
from deepsynth_train.models.interface.page_model import Batch, PageModel, Sample
from deepsynth_train.optimization.optimizer import build_optimizer
from deepsynth_train.optimization.precision import LossScale, build_autocast
from deepsynth_train.optimization.sharding import build_reduction, place_module
from deepsynth_train.optimization.step import Flags, Stepper

STEPS = 5
LABEL_TOKENS = 60


def build_batch(model: PageModel, samples: int, side: int) -> Batch:
    """Pages of noise and labels of random letters: the speed does not depend on their content."""
    generator = np.random.default_rng(0)
    shape = (side, side, 3)
    pages = [Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)) for _ in range(samples)]
    made = [
        Sample(model.family.build_prompt([page]), generator.integers(40, 90, LABEL_TOKENS).tolist()) for page in pages
    ]
    return model.family.collate(made)


def build_settings(side: int, world: World) -> TrainingSettings:
    return TrainingSettings.model_validate(
        {
            "model": {"uri": "config://deepseek-ocr2-tiny"},
            "imageProcessor": {"size": side},
            "checkpoint": {"uri": "file:///nowhere"},
            "precision": "bf16" if world.device.type == "cuda" else "fp32",
        }
    )


def measure_ours(side: int, micro_batch: int) -> float:
    """Pages per second of CPU time, which does not depend on other load on the machine."""
    world = join_world()
    settings = build_settings(side, world)
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
    batch = build_batch(model, micro_batch, side)
    stepper.run(iter([batch]), 1, 1e-3, Flags())
    start = time.process_time()
    for _ in range(STEPS):
        stepper.run(iter([batch]), 1, 1e-3, Flags())
    return STEPS * micro_batch / (time.process_time() - start)


def measure_reference(side: int, micro_batch: int) -> float:
    """The same for transformers' Trainer, which computes logits for every position."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        start = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the library's names
            if state.global_step == 1:
                self.start = time.process_time()

    world = join_world()
    model = build_page_model(build_settings(side, world))
    batch = build_batch(model, micro_batch, side)
    labels = torch.full_like(batch.inputs["input_ids"], -100)
    labels.view(-1)[batch.rows] = batch.targets
    inputs = {**model.family.prepare(batch.inputs), "labels": labels}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=STEPS + 1,
            save_strategy="no",
            report_to=[],
            remove_unused_columns=False,
            disable_tqdm=True,
            logging_strategy="no",
            dataloader_pin_memory=False,
            bf16=world.device.type == "cuda",
        )
        clock = Clock()
        trainer = Trainer(
            model=model.module,
            args=arguments,
            train_dataset=[0] * 64,
            data_collator=lambda _: inputs,
            callbacks=[clock],
        )
        trainer.train()
    return STEPS * micro_batch / (time.process_time() - clock.start)


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    print(f"config://deepseek-ocr2-tiny, {side} px pages, torch {torch.__version__}")
    for micro_batch in (1, 2, 4, 8):
        ours, reference = measure_ours(side, micro_batch), measure_reference(side, micro_batch)
        print(
            f"microBatchSize {micro_batch}: {ours:.1f} pages per CPU second, Trainer {reference:.1f}, "
            f"ratio {ours / reference:.2f}"
        )


if __name__ == "__main__":
    main()
