"""Training ends when a metric has stopped improving, and the model is the best one, also after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.training.page_dataset import build_documents, write_dataset
from support.training.tiny_training import VIT, Recorder, read_weights
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.attempt.run import TrainResult

CER = [0.9, 0.5, 0.3, 0.31, 0.35, 0.2]
"""At steps 0 to 5. Patience 2 ends the training at step 4, with step 2 as the best."""


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    splits = {"train": build_documents(3), "validation": build_documents(1, start=20)}
    return write_dataset(tmp_path_factory.mktemp("pages"), splits)


@pytest.fixture
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations find what CER says; the text of a sample names its step."""
    from deepsynth_train.coordination.progress import WrittenSample
    from deepsynth_train.evaluation.evaluator import Evaluator, Findings
    from deepsynth_train.evaluation.sample_files import build_sample_files

    def evaluate(evaluator: Evaluator, step: int, *, black: bool) -> Findings:
        samples = [WrittenSample(0, "row 0", "the page", f"read after step {step}")]
        if evaluator.keep_files:
            evaluator.keep_files(build_sample_files(step, samples, lambda _: []))
        return Findings({"validation_loss": 1.0 - step / 10, "validation_cer": CER[step]}, samples)

    monkeypatch.setattr(Evaluator, "evaluate", evaluate)


def train(
    pages: Path, folder: Path, *, attempt: int = 1, stop_after: int | None = None, **evaluation: Any
) -> tuple[TrainResult, Recorder]:
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    workload = build_train_workload(
        folder,
        attempt=attempt,
        model={"uri": VIT},
        task="ocr",
        datasets=[{"name": "d", "uri": f"file://{pages}"}],
        precision="fp32",
        global_batch_size=2,
        max_steps=5,
        optimizer={"learning_rate": "0.01"},
        checkpoint={"uri": f"file://{folder}/checkpoints", "every_steps": 100, "keep_last": 1},
        evaluation={"every_steps": 1, "metrics": ["loss", "cer"], **evaluation},
    )
    recorder = Recorder()
    should_stop = lambda: stop_after is not None and len(recorder.steps) + 1 >= stop_after  # noqa: E731
    return run_attempt(workload, join_world(), recorder, should_stop), recorder


EARLY: dict[str, Any] = {"early_stopping": {"metric": "cer", "patience": 2}}


@pytest.mark.usefixtures("_measured")
def test_the_run_ends_early_and_says_so_with_the_best_model(pages: Path, tmp_path: Path) -> None:
    import torch

    result, recorder = train(pages, tmp_path, **EARLY)
    assert (result.step, result.stopped) == (4, False)
    assert result.output is not None
    assert result.output.note == (
        "training stopped early at step 4 of 5: validation_cer had not improved in 2 evaluations; "
        "the model is that of step 2, the best by validation_cer"
    )
    assert result.output.note in recorder.notes
    assert result.output.step == 2
    assert recorder.selected is not None
    step, metrics, samples = recorder.selected
    assert (step, metrics["validation_cer"]) == (2, 0.3)
    assert [sample.written for sample in samples] == ["read after step 2"]
    assert [record.step for record in recorder.records] == [4, 2]
    best = read_weights(tmp_path / "checkpoints/step-2/model")
    last = read_weights(tmp_path / "checkpoints/step-4/model")
    output = read_weights(tmp_path / "output")
    assert all(torch.equal(weight, output[name]) for name, weight in best.items())
    assert not all(torch.equal(weight, output[name]) for name, weight in last.items())


@pytest.mark.usefixtures("_measured")
@pytest.mark.parametrize("stop_after", [3, 4])
def test_a_restart_in_the_middle_of_the_patience_does_not_lengthen_it(
    stop_after: int, pages: Path, tmp_path: Path
) -> None:
    """Stopped at step 3, or at step 4 before it was evaluated."""
    import torch

    whole, _ = train(pages, tmp_path / "whole", **EARLY)
    first, _ = train(pages, tmp_path / "broken", stop_after=stop_after, **EARLY)
    assert (first.step, first.stopped) == (stop_after, True)
    again, recorder = train(pages, tmp_path / "broken", attempt=2, **EARLY)
    assert recorder.started.resumed_from_step == stop_after
    assert (again.step, again.output and again.output.note) == (4, whole.output and whole.output.note)
    expected, found = (read_weights(tmp_path / name / "output") for name in ("whole", "broken"))
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())


@pytest.mark.usefixtures("_measured")
def test_an_attempt_after_the_end_only_writes_the_model_again(pages: Path, tmp_path: Path) -> None:
    whole, _ = train(pages, tmp_path, **EARLY)
    again, recorder = train(pages, tmp_path, attempt=2, **EARLY)
    assert recorder.steps == []
    assert again.output == whole.output


@pytest.mark.usefixtures("_measured")
def test_a_run_that_keeps_improving_ends_at_its_end_with_the_best_model(pages: Path, tmp_path: Path) -> None:
    result, recorder = train(pages, tmp_path, early_stopping={"metric": "cer", "patience": 3})
    assert result.step == 5
    assert result.output is not None
    assert result.output.note is None, "the last step is the best"
    assert (result.output.step, recorder.selected) == (5, None)


@pytest.mark.usefixtures("_measured")
def test_the_best_checkpoint_is_chosen_by_the_metric_that_was_named(pages: Path, tmp_path: Path) -> None:
    from deepsynth_train.checkpoint.retention import find_best

    result, recorder = train(pages, tmp_path, best_metric="cer", stop_after=4)
    assert result.stopped
    best = find_best(recorder.records)
    assert best is not None
    assert (best.step, best.metric, best.value, best.loss) == (2, "cer", 0.3, 0.8)
    assert (tmp_path / "checkpoints/best").read_text() == "step-2"
    assert result.output is None
