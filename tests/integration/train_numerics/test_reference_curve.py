"""The loss curve against transformers' Trainer: same model, order of data, batch, seed."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_train.optimization.schedule import compute_learning_rate
from support.training.tiny_training import OCR2, VIT, build_model, build_samples, build_settings, build_stepper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from deepsynth_api.v1alpha1 import OptimizerSettings
    from deepsynth_train.models.interface.page_model import Batch, PageModel, Sample

STEPS = 20
MICRO_BATCH = 2
LOSS_TOLERANCE = 1e-5
NORM_TOLERANCE = 1e-4
SETTINGS: dict[str, Any] = {
    "learning_rate": "0.002",
    # Large, so that decay where there should be none is seen within 20 steps.
    "weight_decay": "1",
    "max_grad_norm": "1",
    "warmup_steps": 3,
    "schedule": "cosine",
}


@dataclass(frozen=True)
class Curve:
    """Per step."""

    losses: list[float]
    norms: list[float]

    def is_close_to(self, other: Curve) -> bool:
        losses = max(abs(a - b) for a, b in zip(self.losses, other.losses, strict=True))
        norms = max(abs(a - b) for a, b in zip(self.norms, other.norms, strict=True))
        return losses < LOSS_TOLERANCE and norms < NORM_TOLERANCE


def train_ours(
    model: PageModel,
    samples: list[Sample],
    accumulation: int,
    *,
    compute_rate: Callable[[OptimizerSettings, int, int], float] = compute_learning_rate,
    **optimizer_changes: Any,
) -> Curve:
    from deepsynth_train.optimization.step import Flags

    settings = build_settings(optimizer={**SETTINGS, **optimizer_changes})
    stepper = build_stepper(model, settings)
    model.module.train()
    curve = Curve([], [])
    for number in range(STEPS):
        start = number * MICRO_BATCH * accumulation
        pieces = [samples[start + n * MICRO_BATCH : start + (n + 1) * MICRO_BATCH] for n in range(accumulation)]
        batches = [model.family.collate(piece) for piece in pieces]
        rate = compute_rate(settings.optimizer, number, STEPS)
        outcome = stepper.run(iter(batches), accumulation, rate, Flags())
        curve.losses.append(outcome.loss)
        curve.norms.append(outcome.grad_norm)
    return curve


def train_reference(model: PageModel, samples: list[Sample], accumulation: int, folder: Path) -> Curve:
    import torch
    from transformers import Trainer, TrainingArguments

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(samples)

    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=MICRO_BATCH,
        gradient_accumulation_steps=accumulation,
        learning_rate=float(SETTINGS["learning_rate"]),
        weight_decay=float(SETTINGS["weight_decay"]),
        max_grad_norm=float(SETTINGS["max_grad_norm"]),
        warmup_steps=SETTINGS["warmup_steps"],
        lr_scheduler_type=SETTINGS["schedule"],
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        remove_unused_columns=False,
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = InOrder(
        model=model.module,
        args=arguments,
        train_dataset=samples,
        data_collator=lambda batch: build_reference_batch(model, batch),
        compute_loss_func=compute_mean_over_step if not is_decoder_only(model) else None,
    )
    trainer.train()
    lines = [line for line in trainer.state.log_history if "grad_norm" in line]
    return Curve([line["loss"] for line in lines], [line["grad_norm"] for line in lines])


def is_decoder_only(model: PageModel) -> bool:
    return "input_ids" in model.family.collate_prompts(build_samples(model, 1))


def build_reference_batch(model: PageModel, samples: list[Sample]) -> dict[str, torch.Tensor]:
    """The usual layout: labels alongside inputs, -100 where nothing is predicted; the model shifts."""
    import torch
    from transformers.models.vision_encoder_decoder.modeling_vision_encoder_decoder import shift_tokens_right

    eos = model.tokenizer.eos_token_id
    pixels = torch.cat([sample.prompt.tensors["pixel_values"] for sample in samples])
    batch = model.family.prepare({"pixel_values": pixels})
    if not is_decoder_only(model):
        labels = pad([[*sample.label, eos] for sample in samples], -100)
        config = model.module.config
        shifted = shift_tokens_right(labels, config.pad_token_id, config.decoder_start_token_id)
        return {**batch, "labels": labels, "decoder_input_ids": shifted}
    prompts = [list(sample.prompt.ids) for sample in samples]
    whole = [[*prompt, *sample.label, eos] for prompt, sample in zip(prompts, samples, strict=True)]
    scored = [[-100] * len(p) + [*sample.label, eos] for p, sample in zip(prompts, samples, strict=True)]
    return {
        **batch,
        "input_ids": pad(whole, model.tokenizer.pad_token_id),
        "attention_mask": pad([[1] * len(line) for line in whole], 0),
        "labels": pad(scored, -100),
    }


def pad(lines: list[list[int]], value: int) -> torch.Tensor:
    import torch

    width = max(map(len, lines))
    return torch.tensor([line + [value] * (width - len(line)) for line in lines])


def compute_mean_over_step(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any) -> torch.Tensor:
    import torch

    logits = outputs.logits.flatten(0, 1)
    total = torch.nn.functional.cross_entropy(logits, labels.flatten(), reduction="sum")
    return total / torch.as_tensor(num_items_in_batch)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("accumulation", [1, 4])
@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_the_curve_equals_that_of_the_reference(uri: str, accumulation: int, tmp_path: Path) -> None:
    model = build_model(uri)
    samples = build_samples(model, STEPS * MICRO_BATCH * accumulation)
    theirs = train_reference(copy.deepcopy(model), samples, accumulation, tmp_path)
    ours = train_ours(model, samples, accumulation)
    assert max(ours.norms) > 1, "nothing would be clipped"
    assert ours.losses[-1] < ours.losses[0] - 0.5
    assert ours.losses == pytest.approx(theirs.losses, abs=LOSS_TOLERANCE)
    assert ours.norms == pytest.approx(theirs.norms, abs=NORM_TOLERANCE)


@pytest.fixture(scope="module")
def right_curve() -> Curve:
    model = build_model(VIT)
    return train_ours(model, build_samples(model, STEPS * MICRO_BATCH * 4), 4)


def compute_next_rate(settings: OptimizerSettings, number: int, total: int) -> float:
    return compute_learning_rate(settings, number + 1, total)


def average_micro_means(patch: pytest.MonkeyPatch) -> None:
    """Each micro-batch weighs the same, however many label tokens it has."""
    from deepsynth_train.optimization import loss, step

    def compute(model: PageModel, batch: Batch, autocast: Any) -> torch.Tensor:
        return loss.compute_loss_sum(model, batch, autocast) / len(batch.targets) * 24

    patch.setattr(step, "compute_loss_sum", compute)


def decay_everything(patch: pytest.MonkeyPatch) -> None:
    from deepsynth_train.optimization import optimizer

    patch.setattr(optimizer, "_is_decayed", lambda *_: True)


@pytest.mark.parametrize(
    ("mutate", "changes"),
    [
        (lambda _: None, {"compute_rate": compute_next_rate}),
        (average_micro_means, {}),
        (decay_everything, {}),
        (lambda _: None, {"max_grad_norm": "0"}),
        (lambda _: None, {"betas": ["0.9", "0.95"]}),
    ],
    ids=["scheduler off by one", "mean of micro-means", "decay on norms", "no clipping", "another beta"],
)
def test_a_deviation_is_detected(
    mutate: Callable[[pytest.MonkeyPatch], None],
    changes: dict[str, Any],
    right_curve: Curve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutate(monkeypatch)
    model = build_model(VIT)
    curve = train_ours(model, build_samples(model, STEPS * MICRO_BATCH * 4), 4, **changes)
    assert not curve.is_close_to(right_curve)


def test_the_same_training_twice_gives_the_same_curve(right_curve: Curve) -> None:
    model = build_model(VIT)
    assert train_ours(model, build_samples(model, STEPS * MICRO_BATCH * 4), 4) == right_curve


def test_the_same_weights_are_decayed_as_in_the_reference() -> None:
    from transformers import Trainer

    from deepsynth_train.optimization.optimizer import build_optimizer

    for uri in (OCR2, VIT):
        model = build_model(uri)
        expected = set(Trainer.get_decay_parameter_names(None, model.module))  # type: ignore[arg-type]  # needs no self
        settings = build_settings(uri)
        groups = build_optimizer(model.module, settings.optimizer).param_groups
        decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
        parameters = [model.module.get_parameter(name) for name in expected]
        assert decayed == {id(p) for p in parameters if p.requires_grad}
