"""A falling loss proves little: the tiny model must learn to distinguish pages, and cannot if they are black."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image

from support.training.page_dataset import draw_page
from support.training.tiny_training import build_model, build_settings, build_stepper

if TYPE_CHECKING:
    from deepsynth_train.models.interface.page_model import Batch, PageModel, Sample

STEPS = 100


def build_digit(model: PageModel, digit: int, *, black: bool) -> Sample:
    from deepsynth_train.data.files.images import read_page
    from deepsynth_train.models.interface.page_model import Sample

    page = read_page(draw_page(str(digit)), "digit")
    shown = Image.new("L", page.size) if black else page
    return Sample(model.family.build_prompt([shown]), model.encode_label(str(digit)))


def compute_digit_loss(model: PageModel, batch: Batch) -> float:
    """Without the end of text, which is the same for all."""
    import torch

    with torch.no_grad():
        logits = model.module(**model.family.prepare(batch.inputs)).logits.flatten(0, 1)[batch.rows][::2]
    return float(torch.nn.functional.cross_entropy(logits, batch.targets[::2]))


def train_on_digits(*, black: bool) -> float:
    from deepsynth_train.optimization.step import Flags

    model = build_model()
    settings = build_settings(optimizer={"learning_rate": "0.002", "weight_decay": "0"})
    stepper = build_stepper(model, settings)
    batch = model.family.collate([build_digit(model, digit, black=black) for digit in range(10)])
    for step in range(STEPS):
        stepper.run(iter([batch]), 1, 0.002 * min(1, (step + 1) / 6), Flags())
    return compute_digit_loss(model, batch)


def test_ten_pages_are_distinguished_within_100_steps() -> None:
    assert train_on_digits(black=False) < 0.6 * math.log(10)


def test_ten_black_pages_remain_a_guess_among_ten() -> None:
    assert abs(train_on_digits(black=True) - math.log(10)) < 0.05
