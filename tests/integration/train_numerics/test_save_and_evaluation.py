"""A step that is due for both is saved first. If the run is killed in between, the next attempt evaluates it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.training.page_dataset import build_documents, write_dataset
from support.training.tiny_training import VIT, Recorder, read_weights
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.attempt.run import TrainResult

STEPS = 4


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    splits = {"train": build_documents(5), "validation": build_documents(2, start=20)}
    return write_dataset(tmp_path / "pages", splits)


def train(pages: Path, folder: Path, attempt: int = 1, **checkpoint: Any) -> tuple[TrainResult, Recorder]:
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    workload = build_train_workload(
        folder,
        attempt=attempt,
        uid=f"uid-{folder.name}",
        task="ocr",
        model={"uri": VIT},
        datasets=[{"name": "d", "uri": f"file://{pages}"}],
        precision="fp32",
        global_batch_size=2,
        micro_batch_size=2,
        max_steps=STEPS,
        optimizer={"learning_rate": "0.003"},
        checkpoint={"uri": f"file://{folder}/checkpoints", "every_steps": 2, **checkpoint},
        evaluation={"every_steps": 2, "max_new_tokens": 2},
    )
    recorder = Recorder()
    return run_attempt(workload, join_world(), recorder, lambda: False), recorder


def read_curve(folder: Path) -> list[dict[str, float]]:
    """The curve in the newest checkpoint, with the evaluation of its own step, without speeds."""
    step = folder / f"checkpoints/step-{STEPS}"
    lines = [json.loads(line) for line in (step / "metrics.jsonl").read_text().splitlines()]
    lines.append(json.loads((step / "evaluation.json").read_text())["line"])
    return [{name: value for name, value in line.items() if name != "samples_per_second"} for line in lines]


@pytest.mark.parametrize("dies_at", [2, 4])
def test_a_run_killed_in_an_evaluation_loses_nothing_and_ends_with_the_same_curve(
    dies_at: int, pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsynth_train.evaluation.evaluator import Evaluator, Findings

    train(pages, tmp_path / "whole")
    original = Evaluator.evaluate
    seen: list[Findings] = []

    def die(self: Evaluator, step: int, *, black: bool) -> Findings:
        if len(seen) == dies_at // 2:
            raise KeyboardInterrupt
        seen.append(original(self, step, black=black))
        return seen[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "evaluate", die)
        with pytest.raises(KeyboardInterrupt):
            train(pages, tmp_path / "broken")
    wait_for(tmp_path / f"broken/checkpoints/step-{dies_at}")
    _, again = train(pages, tmp_path / "broken", attempt=2)
    assert again.started.resumed_from_step == dies_at
    assert sorted(again.evaluations) == [step for step in (2, 4) if step >= dies_at]
    assert read_curve(tmp_path / "broken") == read_curve(tmp_path / "whole")
    whole, broken = (read_weights(tmp_path / name / "output") for name in ("whole", "broken"))
    assert all(weight.equal(broken[name]) for name, weight in whole.items())
    assert [record.step for record in again.records if record.loss is not None] == [4, 2]


def wait_for(path: Path) -> None:
    """The save in flight ends although the main thread has failed."""
    import time

    for _ in range(300):
        if path.is_dir():
            return
        time.sleep(0.1)
    raise TimeoutError(path)


def test_a_best_step_at_which_no_save_is_due_is_saved_after_its_evaluation(pages: Path, tmp_path: Path) -> None:
    result, recorder = train(pages, tmp_path / "run", every_steps=3)
    assert result.saved_step == STEPS
    assert recorder.evaluations[2]["validation_loss"] < recorder.evaluations[0]["validation_loss"]
    assert [(record.step, record.loss) for record in recorder.records] == [
        (4, recorder.evaluations[4]["validation_loss"]),
        (3, None),
        (2, recorder.evaluations[2]["validation_loss"]),
    ]
