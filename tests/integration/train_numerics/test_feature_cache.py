"""Attempts that keep features of pages: what they compute does not depend on what was kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from integration.train_numerics import rank_training
from support.training.page_dataset import build_documents, write_dataset
from support.training.rank_processes import CONTEXT, run_ranks
from support.training.tiny_training import MODULES, OCR2, Recorder, build_world, read_weights
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_api.workload import TrainWorkload

CONTEXT.set_forkserver_preload(MODULES)

STEPS = 6


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    splits = {"train": build_documents(7), "validation": build_documents(3, start=20)}
    return write_dataset(tmp_path_factory.mktemp("pages"), splits)


def build_workload(folder: Path, pages: Path, **changes: Any) -> TrainWorkload:
    return build_train_workload(
        folder,
        **{
            "model": {"uri": OCR2, "freeze": ["vision"]},
            "task": "summarize",
            "datasets": [{"name": "d", "uri": f"file://{pages}"}],
            "precision": "fp32",
            "image_processor": {"size": 64},
            "global_batch_size": 5,
            "micro_batch_size": 2,
            "max_steps": STEPS,
            "optimizer": {"learning_rate": "0.01", "warmup_steps": 2},
            "checkpoint": {"uri": f"file://{folder}/checkpoints", "every_steps": 2},
            "evaluation": {"max_new_tokens": 2, "every_steps": 3},
            "feature_cache": {"uri": f"file://{folder}/features"},
            **changes,
        },
    )


def run_attempt(size: int, folder: Path, workload: TrainWorkload, **changes: Any) -> list[int]:
    document = workload.to_json()
    return run_ranks(size, folder / "ranks", partial(rank_training.run_attempt, document, folder / "cache", **changes))


def test_a_resumed_attempt_ends_with_the_same_bits_with_or_without_kept_features(pages: Path, tmp_path: Path) -> None:
    import torch

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_attempt(2, whole, build_workload(whole, pages)) == [0, 0]
    codes = run_attempt(2, broken, build_workload(broken, pages), kill=(1, 5))
    assert codes[1] == -9
    entries = sorted(path for path in (broken / "features").rglob("*") if path.is_file() and path.name != "used")
    assert len(entries) > 3
    entries[0].unlink()
    entries[1].write_bytes(entries[1].read_bytes()[:-3])
    assert run_attempt(2, broken, build_workload(broken, pages, attempt=2)) == [0, 0]
    found, expected = read_weights(broken / "output"), read_weights(whole / "output")
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


def train(workload: TrainWorkload) -> Recorder:
    from deepsynth_train.attempt.run import run_attempt as run

    recorder = Recorder()
    run(workload, build_world(), recorder, lambda: False)
    return recorder


def find_note(recorder: Recorder) -> str:
    (note,) = (note for note in recorder.notes if "spec.cache.features" in note)
    return note


def test_the_next_run_computes_nothing_and_finds_the_same_losses(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    settings: dict[str, Any] = {"feature_cache": {}, "num_proc_per_node": 1, "max_steps": 3}
    first = train(build_workload(tmp_path / "first", pages, **settings))
    assert "were stored" in find_note(first)
    kept = [path for path in (tmp_path / "cache" / "features").rglob("*") if path.is_file() and path.name != "used"]
    assert len(kept) == 10, "7 documents to train on and 3 to evaluate on"
    again = train(build_workload(tmp_path / "again", pages, **settings))
    assert "computed 0 times, 0 were stored" in find_note(again)
    assert [step.loss for step in again.steps] == [step.loss for step in first.steps]
    plain = train(build_workload(tmp_path / "plain", pages, **{**settings, "feature_cache": None}))
    assert [step.loss for step in plain.steps] == pytest.approx([step.loss for step in first.steps], rel=1e-4)


def test_a_trained_vision_part_has_no_cache_and_a_note_says_why(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    workload = build_workload(tmp_path, pages, model={"uri": OCR2}, num_proc_per_node=1, max_steps=2)
    assert "has no effect: the vision part is trained" in find_note(train(workload))
    assert not (tmp_path / "features").exists()
