"""Tiny models, batches and steppers for training tests. Pages are 64 px: a forward pass takes milliseconds."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from deepsynth_api.v1alpha1 import TrainingSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch

    from deepsynth_train.coordination.world import World
    from deepsynth_train.models.interface.page_model import PageModel, Sample
    from deepsynth_train.optimization.reduction import Reduction
    from deepsynth_train.optimization.step import Stepper

OCR2 = "config://deepseek-ocr2-tiny"
VIT = "config://vit-gpt2-tiny"

MODULES = [
    "deepsynth_train.attempt",
    "pyarrow.parquet",
    "transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2",
    "transformers.models.deepseek_ocr2.modeling_deepseek_ocr2",
    "transformers.models.deepseek_ocr2.processing_deepseek_ocr2",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.trocr.processing_trocr",
    "transformers.models.vision_encoder_decoder.modeling_vision_encoder_decoder",
    "transformers.models.vit.image_processing_pil_vit",
    "transformers.models.vit.modeling_vit",
]
"""What ranks need; imported once by the server that they are forked from. Nothing may be computed there: a fork after
OpenMP has started its threads hangs.
"""


def build_settings(uri: str = OCR2, **changes: Any) -> TrainingSettings:
    """fp32, 64 px pages where the model allows it."""
    settings: dict[str, Any] = {
        "model": {"uri": uri},
        "precision": "fp32",
        "checkpoint": {"uri": "file:///nowhere"},
        "image_processor": {"size": 64} if uri == OCR2 else {},
    }
    return TrainingSettings.model_validate({**settings, **changes})


def build_model(uri: str = OCR2, **changes: Any) -> PageModel:
    """Without dropout, so that results can be compared."""
    import torch

    from deepsynth_train.models.build import build_page_model

    model = build_page_model(build_settings(uri, **changes))
    for part in model.module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    return model


def build_samples(model: PageModel, count: int, seed: int = 0, pages: int = 1) -> list[Sample]:
    """Coloured noise in the size that the model takes, and labels of 3 to 20 random letters."""
    from deepsynth_train.models.interface.page_model import Sample

    generator = np.random.default_rng(seed)
    return [
        Sample(
            model.family.build_prompt([draw_noise(generator) for _ in range(pages)]),
            [int(token) for token in generator.integers(40, 90, generator.integers(3, 21))],
        )
        for _ in range(count)
    ]


def draw_noise(generator: np.random.Generator, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.fromarray(generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def build_world(rank: int = 0, size: int = 1) -> World:
    import torch

    from deepsynth_train.coordination.world import World

    return World(rank, size, rank, size, torch.device("cpu"))


def build_stepper(
    model: PageModel, settings: TrainingSettings, world: World | None = None, reduction: Reduction | None = None
) -> Stepper:
    from deepsynth_train.optimization.optimizer import build_optimizer
    from deepsynth_train.optimization.precision import LossScale
    from deepsynth_train.optimization.reduction import Buckets
    from deepsynth_train.optimization.step import Stepper

    world = world or build_world()
    optimizer = build_optimizer(model.module, settings.optimizer)
    parameters = [parameter for parameter in model.module.parameters() if parameter.requires_grad]
    return Stepper(
        model=model,
        optimizer=optimizer,
        reduction=reduction or Buckets(parameters, world.size, bucket_bytes=100_000),
        world=world,
        autocast=nullcontext,
        loss_scale=LossScale(1.0, dynamic=False),
        max_grad_norm=float(settings.optimizer.max_grad_norm),
    )


class Recorder:
    """Progress that stores every call."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.steps: list[Any] = []
        self.evaluations: dict[int, dict[str, float]] = {}
        self.samples: dict[int, list[Any]] = {}
        self.selected: tuple[int, dict[str, float], list[Any]] | None = None
        self.started: Any = None
        self.notes: list[str] = []
        self.pinned: Sequence[Any] = ()
        self.downloads: list[tuple[int, int]] = []
        self.records: Sequence[Any] = ()
        self.on_step: Callable[[Any], None] = lambda _: None

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def beat(self) -> None: ...

    def datasets(self, pinned: Sequence[Any]) -> None:
        self.pinned = pinned

    def model(self, uri: str, revision: str) -> None: ...

    def wait(self, reason: str, seconds: float) -> None: ...

    def download(self, done: int, total: int) -> None:
        self.downloads.append((done, total))

    def start(self, report: Any) -> None:
        self.started = report

    def step(self, report: Any) -> None:
        self.steps.append(report)
        self.on_step(report)

    def evaluation(self, step: int, metrics: Any, samples: Sequence[Any]) -> None:
        self.evaluations[step] = dict(metrics)
        self.samples[step] = list(samples)

    def select(self, step: int, metrics: Any, samples: Sequence[Any]) -> None:
        self.selected = (step, dict(metrics), list(samples))

    def checkpoints(self, records: Sequence[Any], notes: Sequence[str]) -> None:
        self.records = list(records)
        self.notes += [note for note in notes if note not in self.notes]

    def note(self, text: str) -> None:
        self.notes.append(text)


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights in a model folder."""
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")
