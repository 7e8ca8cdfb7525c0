"""Attempts that begin before their dataset has arrived end with the weights of those that copied it first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.store.object_servers.moto_server import make_bucket, start_moto
from support.training.page_dataset import build_documents, write_dataset
from support.training.tiny_training import OCR2, VIT, Recorder, build_world, read_weights
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    splits = {"train": build_documents(9), "validation": build_documents(2, start=20)}
    return write_dataset(tmp_path_factory.mktemp("pages"), splits)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, pages: Path) -> Iterator[str]:
    """URI of the pages in an object store."""
    from deepsynth_store import publish_folder

    monkeypatch.setenv("AWS_ENDPOINT_URL", start_moto())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse")
    with make_bucket() as name:
        publish_folder(pages, f"s3://{name}/pages")
        yield f"s3://{name}/pages"


@pytest.fixture(autouse=True)
def _node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "node"))


def train(folder: Path, uri: str, *, stop_after: int | None = None, **changes: Any) -> Recorder:
    from deepsynth_train.attempt.run import run_attempt

    workload = build_train_workload(
        folder,
        **{
            "task": "ocr",
            "model": {"uri": VIT},
            "datasets": [{"name": "d", "uri": uri}],
            "precision": "fp32",
            "global_batch_size": 4,
            "num_proc_per_node": 1,
            "max_steps": 6,
            "evaluation": {"max_new_tokens": 2},
            "stream": True,
            **changes,
        },
    )
    recorder = Recorder()
    run_attempt(
        workload,
        build_world(),
        recorder,
        lambda: stop_after is not None and len(recorder.steps) + 1 >= stop_after,
    )
    return recorder


def test_a_streamed_run_that_was_stopped_ends_with_the_bits_of_one_that_copied_first(
    pages: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of its files arrive: all pages come from the store."""
    import torch

    from deepsynth_train.data.files.filling import Filling

    monkeypatch.setattr(Filling, "_fetch", lambda *_: False)
    train(tmp_path / "copied", f"file://{pages}", stream=None)
    first = train(tmp_path / "streamed", bucket, stop_after=3)
    assert len(first.steps) == 3
    assert any("reading 1 file from the store" in note for note in first.notes)
    monkeypatch.setattr("deepsynth_train.attempt.data.choose_samples", pytest.fail)  # the first one has kept them
    second = train(tmp_path / "streamed", bucket, attempt=2)
    assert len(second.steps) == 3
    assert not list((tmp_path / "node").rglob("train/00000.arrow"))[1:], "only that of the copied run"
    expected, found = (read_weights(tmp_path / name / "output") for name in ("copied", "streamed"))
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


def test_the_first_steps_do_not_wait_for_the_dataset(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsynth_train.data.files.materialise import SourceFile

    fetch, has_trained, arrived = SourceFile.fetch, threading.Event(), threading.Event()

    def fetch_late(file: SourceFile, target: Path) -> None:
        if "/train/" in str(file.target):
            assert has_trained.wait(60)
        fetch(file, target)
        if "/train/" in str(file.target):
            arrived.set()

    monkeypatch.setattr(SourceFile, "fetch", fetch_late)
    step = Recorder.step

    def note_step(recorder: Recorder, report: Any) -> None:
        step(recorder, report)
        has_trained.set()

    monkeypatch.setattr(Recorder, "step", note_step)
    shared = {"uri": f"file://{tmp_path}/shared", "size_bytes": 10**9}
    recorder = train(tmp_path, bucket, input_cache=shared, max_steps=3)
    assert len(recorder.steps) == 3
    assert arrived.wait(60)


def test_a_damaged_file_ends_the_attempt(pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deepsynth_api.errors import DataError
    from deepsynth_train.data.files.filling import Filling

    start = Filling.start

    def start_and_wait(filling: Filling) -> None:
        start(filling)
        filling.join()

    def fail(*_: object) -> bool:
        raise DataError("data/train-00000.parquet is damaged")

    monkeypatch.setattr(Filling, "start", start_and_wait)
    monkeypatch.setattr(Filling, "_fetch", fail)
    with pytest.raises(DataError, match="is damaged"):
        train(tmp_path, f"file://{pages}")


@pytest.mark.parametrize(
    "why", ["this model needs the size of all pages", "what to evaluate on is chosen by its pages"]
)
def test_where_it_is_not_possible_the_dataset_is_copied_first_and_a_note_says_why(
    why: str, pages: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any]
    if "size" in why:
        changes = {"model": {"uri": OCR2}, "image_processor": {"size": 64, "max_tiles": 2}}
        uri = f"file://{pages}"
    else:
        changes = {}
        uri = f"file://{write_dataset(tmp_path / 'single', {'train': build_documents(12)})}"
    recorder = train(tmp_path, uri, max_steps=1, **changes)
    assert [why in note for note in recorder.notes if "spec.cache.stream" in note] == [True]
    assert list((tmp_path / "node").rglob("train/00000.arrow"))
