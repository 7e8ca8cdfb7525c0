"""spec.microBatchSize auto, in whole attempts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError
from integration.train_numerics.micro_batch_attempts import GIB, LARGE, attempt, list_choices, train_on_rank
from support.training.page_dataset import build_documents, write_dataset
from support.training.rank_processes import run_ranks
from support.training.tiny_training import OCR2, read_weights
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_api.workload import TrainWorkload


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("pages"), {"train": build_documents(9)})


def build_workload(folder: Path, pages: Path, **changes: Any) -> TrainWorkload:
    settings = {
        "num_proc_per_node": 1,
        "datasets": [{"name": "d", "uri": f"file://{pages}"}],
        "model": {"uri": OCR2},
        "image_processor": {"size": 64},
        "precision": "fp32",
        "max_steps": 2,
        "global_batch_size": 9,
        "micro_batch_size": "auto",
        "evaluation": {"holdoutPercent": 0},
    }
    return build_train_workload(folder, **{**settings, **changes})


def read_pinned(folder: Path) -> int:
    return int(json.loads((folder / "checkpoints/datasets.json").read_text())["microBatchSize"])


def test_a_run_is_the_same_as_with_the_number_that_auto_chose(pages: Path, tmp_path: Path) -> None:
    import torch

    chosen = attempt(build_workload(tmp_path / "auto", pages), LARGE)
    given = attempt(build_workload(tmp_path / "number", pages, micro_batch_size=8), LARGE)
    assert read_pinned(tmp_path / "auto") == 8, "the largest power of two of a batch of 9"
    (note,) = list_choices(chosen)
    assert note.startswith("spec.microBatchSize: auto chose 8: 1.1 of 64.0 GiB by estimate, for samples of ")
    assert not list_choices(given)
    assert "microBatchSize" not in (tmp_path / "number/checkpoints/datasets.json").read_text()
    one, other = (read_weights(tmp_path / name / "output") for name in ("auto", "number"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_later_attempt_keeps_the_size_on_a_machine_with_less_memory(pages: Path, tmp_path: Path) -> None:
    attempt(build_workload(tmp_path, pages), LARGE, stop_after=0)
    again = attempt(build_workload(tmp_path, pages, attempt=2), GIB)
    assert read_pinned(tmp_path) == 8
    assert list_choices(again) == ["spec.microBatchSize: 8, which auto chose in an earlier attempt"]
    assert [report.step for report in again.steps] == [2]


def test_one_sample_that_does_not_fit_is_tried_with_a_note(pages: Path, tmp_path: Path) -> None:
    recorder = attempt(build_workload(tmp_path, pages, max_steps=1), GIB // 2)
    (note,) = list_choices(recorder)
    assert note.startswith("spec.microBatchSize: auto chose 1, which may not fit: 1.0 of 0.5 GiB by estimate")


def test_a_model_whose_memory_cannot_be_estimated_needs_a_number(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsynth_train.attempt import micro_batch

    def refuse(*_: Any, **__: Any) -> Any:
        raise ConfigurationError("the memory of x cannot be estimated")

    monkeypatch.setattr(micro_batch, "estimate_samples", refuse)
    with pytest.raises(ConfigurationError, match=r"spec\.microBatchSize: auto needs .* set a number"):
        attempt(build_workload(tmp_path, pages), LARGE)


@pytest.mark.slow
def test_two_ranks_agree_on_the_size_for_the_smaller_device(pages: Path, tmp_path: Path) -> None:
    workload = build_workload(tmp_path, pages, num_proc_per_node=2, max_steps=1)
    assert run_ranks(2, tmp_path, train_on_rank, workload.to_dict(), tmp_path) == [0, 0]
    notes = [json.loads((tmp_path / f"notes-{rank}.json").read_text()) for rank in range(2)]
    assert notes[0] == notes[1]
    assert notes[0][0].startswith("spec.microBatchSize: auto chose 4: 1.0 of 64.0 GiB by estimate"), "5 of 9 samples"
    assert read_pinned(tmp_path) == 4
