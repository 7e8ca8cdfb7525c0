"""One process, from a folder of pages to a model that from_pretrained opens."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError, DataError, TemporaryError
from support.training.page_dataset import build_document, build_documents, write_dataset, write_split
from support.training.tiny_training import OCR2, VIT, Recorder, build_world, read_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from deepsynth_train import TrainConfig, TrainOutput, loop
    from deepsynth_train.optimization.step import StepOutcome, Stepper


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    splits = {"train": build_documents(9), "validation": build_documents(4, start=20)}
    return write_dataset(tmp_path_factory.mktemp("pages"), splits)


def build_config(folder: Path, **changes: Any) -> TrainConfig:
    from deepsynth_train import TrainConfig

    settings: dict[str, Any] = {
        "model": {"uri": OCR2},
        "precision": "fp32",
        "image_processor": {"size": 64},
        "checkpoint": {"uri": f"file://{folder}/checkpoints", "every_steps": 100},
        "optimizer": {"learning_rate": "0.003"},
        "global_batch_size": 4,
        "micro_batch_size": 2,
        "evaluation": {"max_new_tokens": 3},
    }
    return TrainConfig.model_validate({**settings, **changes})


def train(config: TrainConfig, pages: Any, progress: Recorder | None = None) -> TrainOutput:
    from deepsynth_train import Trainer

    return Trainer(config, pages, progress=progress or "none").train()


def test_a_run_reports_evaluates_saves_and_writes_a_model_that_opens(pages: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from deepsynth_train.evaluation.evaluator import BLACK, SWAPPED
    from deepsynth_train.evaluation.ranking import LOSS
    from deepsynth_train.evaluation.text_metrics import CER, CER_SWAPPED, ROUGE_1, ROUGE_L

    recorder = Recorder()
    config = build_config(
        tmp_path,
        epochs=2,
        evaluation={"metrics": ["loss", "rouge", "cer"], "max_new_tokens": 3, "every_steps": 3, "samples": 2},
        tracking=[{"tensorboard": {"uri": f"file://{tmp_path}/tensorboard"}}],
    )
    result = train(config, pages, recorder)
    assert (result.step, result.saved_step, result.stopped) == (5, 5, False)
    assert recorder.started.total_steps == 5, "18 visits in batches of 4, the last one of 2"
    assert [report.step for report in recorder.steps] == [1, 2, 3, 4, 5]
    last = recorder.steps[-1]
    assert last.total_steps == 5
    assert last.remaining_seconds == 0
    assert min(last.samples_per_second, last.pages_per_second, last.label_tokens_per_second) > 0
    assert last.pages_per_second > last.samples_per_second
    assert last.peak_memory_bytes > 1e6
    assert sorted(recorder.evaluations) == [0, 3, 5]
    assert set(recorder.evaluations[0]) == {LOSS, SWAPPED, ROUGE_1, ROUGE_L, CER, CER_SWAPPED}, (
        "the model before training, too"
    )
    assert set(recorder.evaluations[5]) == {LOSS, SWAPPED, BLACK, ROUGE_1, ROUGE_L, CER, CER_SWAPPED}
    assert [sample.reference for sample in recorder.samples[5]] == ["document 20", "document 22"], "spread over the 4"
    samples = tmp_path / "checkpoints/samples"
    assert sorted(path.name for path in samples.iterdir()) == ["pages", "step-0.json", "step-3.json", "step-5.json"]
    shown = json.loads((samples / "step-5.json").read_text())["samples"]
    assert [entry["written"] for entry in shown] == [sample.written for sample in recorder.samples[5]]
    assert all((samples / page).stat().st_size for entry in shown for page in entry["pages"])
    assert recorder.evaluations[5][LOSS] < recorder.evaluations[0][LOSS]
    first = recorder.phases.index("step")
    assert recorder.phases[:first] == ["download", "start", "evaluate", "step"][:first]
    assert recorder.phases[-1] == "publish"
    output = tmp_path / "checkpoints" / "model"
    assert result.output is not None
    assert result.output.uri == f"file://{output}"
    model = AutoModelForImageTextToText.from_pretrained(output)
    saved = tmp_path / "checkpoints" / "step-5" / "model"
    assert all(torch.equal(w, read_weights(saved)[name]) for name, w in read_weights(output).items())
    assert sum(p.numel() for p in model.parameters()) > 1e5
    processors: Any = AutoProcessor
    assert processors.from_pretrained(output).tokenizer.eos_token_id == 1
    curve = [json.loads(line) for line in (tmp_path / "checkpoints/step-5/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curve if line.get("samples_per_second", 0) > 0 and "loss" in line] == [
        1,
        2,
        3,
        4,
        5,
    ]
    (events,) = (tmp_path / "tensorboard").glob("checkpoints-notebook-*/events.*")
    for name in (
        b"loss",
        b"grad_norm",
        b"learning_rate",
        b"samples_per_second",
        LOSS.encode(),
        ROUGE_L.encode(),
        b"samples",
    ):
        assert name in events.read_bytes()


def test_a_second_call_resumes_and_a_changed_configuration_is_refused(pages: Path, tmp_path: Path) -> None:
    config = build_config(tmp_path, model={"uri": VIT}, image_processor={}, task="ocr", max_steps=2)
    train(config, pages)
    again = Recorder()
    train(config, pages, again)
    assert again.started.resumed_from_step == 2
    assert again.steps == []
    changed = config.model_copy(update={"seed": 1})
    with pytest.raises(ConfigurationError, match=r"^checkpoint: .* has other settings"):
        train(changed, pages)


def test_an_in_memory_dataset_trains_like_a_folder(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict, Features, Image, Value

    features = Features({"image": Image(), "summary": Value("string"), "text": Value("string")})
    rows = [{key: row[key] for key in features} for number in range(5) for row in build_document(number)]
    dataset = Dataset.from_list(rows, features=features)
    recorder = Recorder()
    config = build_config(tmp_path, max_steps=1)
    train(config, DatasetDict({"train": dataset, "validation": dataset.select([0, 1])}), recorder)
    assert recorder.started.samples == 5
    assert set(recorder.evaluations) == {0, 1}


def test_anything_but_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="item 0 of train must be a pair"):
        train(build_config(tmp_path), [1, 2])


def spoil(monkeypatch: pytest.MonkeyPatch, step: int, times: int) -> None:
    """The loss of optimizer step `step` is not a number, `times` times."""
    from deepsynth_train.loop import loop

    original = loop.Loop._run_step
    left = [times]

    def run(self: loop.Loop, batches: Any) -> StepOutcome:
        if self.step + 1 == step and left[0]:
            left[0] -= 1
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("deepsynth_train.optimization.step.compute_loss_sum", _compute_nan)
                return original(self, batches)
        return original(self, batches)

    monkeypatch.setattr(loop.Loop, "_run_step", run)


def _compute_nan(model: Any, batch: Any, autocast: Callable[[], Any]) -> torch.Tensor:
    weight = next(p for p in model.module.parameters() if p.requires_grad)
    loss: torch.Tensor = weight.sum() * math.nan
    return loss


def build_quick(folder: Path, **changes: Any) -> TrainConfig:
    return build_config(folder, model={"uri": VIT}, image_processor={}, task="ocr", max_steps=3, **changes)


def test_a_loss_that_is_not_finite_twice_ends_the_run_and_names_step_and_samples(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, step=2, times=2)
    with pytest.raises(DataError, match=r"step 2 is not finite, twice; .*row \d+ of the train split") as caught:
        train(build_quick(tmp_path), pages)
    assert caught.value.reason == "NonFiniteLoss"


def test_a_loss_that_is_not_finite_once_is_computed_again_and_changes_nothing(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    train(build_quick(tmp_path / "whole"), pages)
    spoil(monkeypatch, step=2, times=1)
    train(build_quick(tmp_path / "spoilt"), pages)
    whole, spoilt = (read_weights(tmp_path / name / "checkpoints/model") for name in ("whole", "spoilt"))
    assert all(torch.equal(weight, spoilt[name]) for name, weight in whole.items())


def test_with_skip_the_batch_is_skipped_with_a_note(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, step=2, times=5)
    recorder = Recorder()
    train(build_quick(tmp_path, on_non_finite="skip"), pages, recorder)
    assert [report.skipped for report in recorder.steps] == [False, True, False]
    assert recorder.notes == ["warning: step 2 was skipped: its loss is not finite"]


def test_an_error_of_the_model_about_a_batch_names_its_samples_and_is_not_retried(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("Image features and image tokens do not match")

    monkeypatch.setattr("deepsynth_train.optimization.step.compute_loss_sum", fail)
    with pytest.raises(
        DataError, match=r"^step 1: .*\(ValueError: Image features .*; check data: row \d+ of the train"
    ):
        train(build_quick(tmp_path), pages)


def test_a_full_gpu_ends_the_attempt_with_the_settings_that_help(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")

    monkeypatch.setattr("deepsynth_train.optimization.step.compute_loss_sum", fail)
    with pytest.raises(TemporaryError, match=r"full, 2.00 GiB more .*; .*gradient_checkpointing") as caught:
        train(build_quick(tmp_path), pages)
    assert caught.value.reason == "OutOfMemory"


def test_skipping_every_batch_fails_the_run(pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepsynth_train.optimization.step.compute_loss_sum", _compute_nan)
    config = build_quick(tmp_path, on_non_finite="skip").model_copy(update={"max_steps": 50})
    recorder = Recorder()
    with pytest.raises(DataError, match="10 steps in a row up to step 10 is not finite") as caught:
        train(config, pages, recorder)
    assert caught.value.reason == "NonFiniteLoss"
    assert len(recorder.notes) == 9


def test_a_page_that_cannot_be_decoded_ends_the_run_and_names_its_row(tmp_path: Path) -> None:
    rows = [*build_documents(3), *build_document(9, image={"bytes": b"no picture", "path": None})]
    write_split(tmp_path / "pages", "train", rows)
    with pytest.raises(DataError, match=r"damaged \(6\); row 6: the page is not an image"):
        train(build_config(tmp_path), tmp_path / "pages")


def test_a_weight_that_selects_no_sample_is_refused(pages: Path, tmp_path: Path) -> None:
    from deepsynth_api.workload import WorkloadDataset
    from deepsynth_train import Trainer
    from deepsynth_train.attempt.run import run_attempt

    for limit in ({"epochs": 1}, {"max_steps": 2}):
        trainer = Trainer(build_config(tmp_path / str(limit), **limit), pages)
        source = WorkloadDataset(name="d", uri=f"file://{pages}", weight="0.01")
        workload = trainer._build_workload(trainer.config, trainer._source).updated(datasets=[source])
        with pytest.raises(ConfigurationError, match=r"^spec.datasets\[d\].weight: 0.01 of 9 samples rounds to no"):
            run_attempt(workload, build_world(), Recorder(), lambda: False)


def test_all_options_of_the_model_train_together(pages: Path, tmp_path: Path) -> None:
    config = build_config(
        tmp_path,
        model={"uri": OCR2, "lora": {"rank": 2, "alpha": 4}, "freeze": ["vision"]},
        precision="bf16",
        gradient_checkpointing=True,
        max_steps=1,
    )
    recorder = Recorder()
    result = train(config, pages, recorder)
    assert result.output is not None
    assert any(note.endswith("weights to train: language 3,072 in 12 layers") for note in recorder.notes)
    names = set(read_weights(tmp_path / "checkpoints/model"))
    assert names
    assert not any("lora" in name for name in names), "merged"


def test_the_reported_norm_is_the_one_before_clipping(pages: Path, tmp_path: Path) -> None:
    from deepsynth_train.optimization.step import Stepper

    seen: list[float] = []
    original = Stepper.run

    def run(self: Stepper, *arguments: Any) -> StepOutcome:
        outcome = original(self, *arguments)
        seen.append(float(self.reduction.finish()))
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "run", run)
        recorder = Recorder()
        config = build_quick(tmp_path, optimizer={"max_grad_norm": "0.01"})
        train(config, pages, recorder)
    assert all(report.grad_norm > 0.02 for report in recorder.steps)
    assert seen == pytest.approx([0.01] * 3, rel=1e-3)


def test_without_samples_nothing_is_written_down_and_no_text_is_generated(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepsynth_train.evaluation.generation.Generator.write", None)
    recorder = Recorder()
    train(build_quick(tmp_path, evaluation={"samples": 0}), pages, recorder)
    assert set(recorder.evaluations) == {0, 3}
    assert recorder.samples == {0: [], 3: []}
    assert not (tmp_path / "checkpoints/samples").exists()


def test_samples_that_cannot_be_written_cost_a_note(pages: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/samples").write_text("in the way")
    recorder = Recorder()
    result = train(build_quick(tmp_path), pages, recorder)
    assert result.step == 3
    assert len(recorder.samples[3]) == 8
    assert any("samples/step-3.json was not stored" in note for note in recorder.notes)


def test_samples_of_a_run_that_was_deleted_before_its_first_checkpoint_are_removed(pages: Path, tmp_path: Path) -> None:
    """Its data may have been repaired since, and pages that are there are not written again."""
    stale = [tmp_path / "checkpoints/samples" / name for name in ("step-9.json", "pages/0-0.png")]
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"of the old run")
    train(build_quick(tmp_path), pages, Recorder())
    assert not stale[0].exists()
    assert stale[1].read_bytes().startswith(b"\x89PNG")


def test_without_a_validation_split_a_document_is_held_out(tmp_path: Path) -> None:
    rows = [row for number in range(12) for row in build_document(number)]
    pages = write_dataset(tmp_path / "pages", {"train": rows})
    recorder = Recorder()
    train(build_quick(tmp_path), pages, recorder)
    assert recorder.started.samples == 11
    assert set(recorder.evaluations) == {0, 3}
    assert len(recorder.samples[3]) == 1
    assert "so 1 of 12 documents are used for evaluation" in recorder.notes[0]
