"""Attempts that share datasets in a folder: they train as without it, and say what was there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.training.page_dataset import build_documents, write_dataset
from support.training.tiny_training import VIT, Recorder, build_world
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    splits = {"train": build_documents(5), "validation": build_documents(2, start=20)}
    return write_dataset(tmp_path_factory.mktemp("pages"), splits)


def train(folder: Path, pages: Path, **changes: Any) -> Recorder:
    from deepsynth_train.attempt.run import run_attempt

    workload = build_train_workload(
        folder,
        **{
            "task": "ocr",
            "model": {"uri": VIT},
            "datasets": [{"name": "d", "uri": f"file://{pages}"}],
            "precision": "fp32",
            "global_batch_size": 2,
            "num_proc_per_node": 1,
            "max_steps": 3,
            "evaluation": {"max_new_tokens": 2},
            **changes,
        },
    )
    recorder = Recorder()
    run_attempt(workload, build_world(), recorder, lambda: False)
    return recorder


def list_notes(recorder: Recorder) -> list[str]:
    return [note for note in recorder.notes if "spec.cache.uri" in note]


def test_a_second_run_fetches_nothing_and_takes_the_same_steps(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []
    for name, expected in (("first", "0.0 MB of 0."), ("second", "0.1 MB of 0.1 MB"), ("without", None)):
        monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / name / "node"))
        shared = {"uri": f"file://{tmp_path}/shared", "size_bytes": 10**9} if expected else None
        recorder = train(tmp_path / name, pages, input_cache=shared)
        assert [f"spec.cache.uri: {expected}" in note for note in list_notes(recorder)] == [True] * bool(expected)
        losses.append([step.loss for step in recorder.steps])
    assert losses[0] == losses[1] == losses[2]
    assert not list((tmp_path / "shared" / "inputs-v1" / "uses").iterdir()), "ended attempts need nothing"


def test_a_folder_that_cannot_be_written_costs_the_run_no_more_than_the_cache(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "node"))
    (tmp_path / "file").write_text("")
    recorder = train(tmp_path, pages, input_cache={"uri": f"file://{tmp_path}/file", "size_bytes": 10**9})
    (note,) = list_notes(recorder)
    assert "cannot be used" in note
    assert len(recorder.steps) == 3
