"""Attempts of a run whose checkpoints, event files and model are in an object store, next to one in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.store.object_servers.moto_server import make_bucket, start_moto
from support.training.page_dataset import build_documents, write_dataset
from support.training.tiny_training import VIT, Recorder, read_weights
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deepsynth_train.attempt.run import TrainResult

BEFORE_TRAINING, LAST = "samples/step-0.json", "samples/step-4.json"


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A URI in a bucket."""
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "models"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", start_moto())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse")
    with make_bucket() as bucket:
        yield f"s3://{bucket}"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    splits = {"train": build_documents(3), "validation": build_documents(1, start=20)}
    return write_dataset(tmp_path_factory.mktemp("pages"), splits)


def train(
    pages: Path, uri: str, *, attempt: int = 1, stop_after: int | None = None, **changes: Any
) -> tuple[TrainResult, Recorder]:
    """Four steps, a checkpoint after each."""
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    workload = build_train_workload(
        pages,
        attempt=attempt,
        **{
            "model": {"uri": VIT},
            "task": "ocr",
            "datasets": [{"name": "d", "uri": f"file://{pages}"}],
            "precision": "fp32",
            "global_batch_size": 2,
            "max_steps": 4,
            "checkpoint": {"uri": f"{uri}/run", "every_steps": 1, "keep_last": 2},
            "evaluation": {"every_steps": 2, "max_new_tokens": 3},
            "tracking": [{"tensorboard": {"uri": f"{uri}/events"}}],
            "output_uri": f"{uri}/run/model",
            **changes,
        },
    )
    recorder = Recorder()
    should_stop = lambda: stop_after is not None and len(recorder.steps) + 1 >= stop_after  # noqa: E731
    return run_attempt(workload, join_world(), recorder, should_stop), recorder


def test_a_run_that_was_stopped_ends_with_the_model_of_one_in_a_folder_that_was_not(
    pages: Path, base: str, tmp_path: Path
) -> None:
    import torch

    from deepsynth_store import fetch_folder
    from deepsynth_train.checkpoint.opening import open_files

    train(pages, f"file://{tmp_path}")
    first, _ = train(pages, base, stop_after=2)
    assert (first.step, first.stopped) == (2, True)
    result, recorder = train(pages, base, attempt=2)
    assert recorder.started.resumed_from_step == 2
    assert recorder.notes == []
    assert result.output is not None
    assert result.output.uri == f"{base}/run/model"

    expected = read_weights(tmp_path / "run/model")
    model = read_weights(fetch_folder(result.output.uri, result.output.revision, ["*"]))
    assert expected.keys() == model.keys()
    assert all(torch.equal(weight, model[name]) for name, weight in expected.items())

    newest = recorder.records[0]
    assert [record.step for record in recorder.records][:2] == [4, 3]
    saved = read_weights(fetch_folder(f"{newest.uri}/model", None, ["*"]))
    assert all(torch.equal(weight, saved[name]) for name, weight in expected.items())

    files = open_files(f"{base}/run")
    names = files.list_files("")
    assert {"checkpoints.json", "datasets.json", BEFORE_TRAINING, LAST, "model/config.json"} <= set(names)
    assert files.read(LAST) == (tmp_path / "run" / LAST).read_bytes()
    assert len({name.partition("/")[0] for name in names if name.startswith("step-")}) == len(recorder.records)
    events = open_files(base).list_files("events")
    assert len(events) == 2, "a file of each attempt"


def test_another_run_starts_from_a_checkpoint_in_a_store_and_an_early_end_finds_its_best(
    pages: Path, base: str
) -> None:
    _, recorder = train(pages, f"{base}/first")
    start = {"uri": f"{recorder.records[-1].uri}/model"}
    early = {"every_steps": 1, "max_new_tokens": 3, "early_stopping": {"patience": 1, "min_delta": "10"}}
    changes: dict[str, Any] = {"uid": "uid-2", "fingerprint": "e" * 64, "model": start, "evaluation": early}
    result, second = train(pages, f"{base}/second", **changes)
    assert second.started.resumed_from_step is None
    assert result.output is not None
    best = min(second.records, key=lambda record: float(record.loss))
    assert (result.step, result.output.step) == (2, best.step)
