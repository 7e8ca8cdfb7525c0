"""Training from Python with its checkpoints in an object store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError
from integration.train_python.own_pages import write_pages
from support.store.object_servers.moto_server import make_bucket, start_moto
from support.training.tiny_training import VIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deepsynth_train import Trainer


@pytest.fixture(autouse=True)
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A place in a bucket. The current folder has twenty pages in my-pages."""
    for name, value in {
        "AWS_ENDPOINT_URL": start_moto(),
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "correct-horse",
        "DEEPSYNTH_CACHE": str(tmp_path / "cache"),
        "XDG_CACHE_HOME": str(tmp_path / "models"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    write_pages(tmp_path / "my-pages")
    with make_bucket() as bucket:
        yield f"s3://{bucket}/runs/first"


def build(uri: str, **changes: Any) -> Trainer:
    from deepsynth_train import create_trainer

    settings = {"task": "ocr", "max_steps": 4, "precision": "fp32", "progress": "none", **changes}
    return create_trainer(VIT, "my-pages", checkpoint=uri, **settings)


def test_a_training_stops_continues_and_is_read_from_a_store(uri: str) -> None:
    from deepsynth_train import Callback, load_model
    from deepsynth_train.notebook.place import Place

    saved: list[tuple[int, str]] = []

    class Listener(Callback):
        def on_step(self, report: Any) -> None:
            if report.step == 1:
                trainer.stop()

        def on_save(self, step: int, folder: str) -> None:
            saved.append((step, folder))

    trainer = build(uri, callbacks=[Listener()])
    first = trainer.train()
    assert (first.stopped, first.model) == (True, None)
    assert [step for step, _ in saved] == [first.saved_step]
    assert saved[0][1].startswith(f"{uri}/step-{first.saved_step}-")
    assert Place(uri).find_model() == f"{saved[0][1]}/model"

    trainer = build(uri)
    second = trainer.train()
    assert (second.step, second.stopped, second.model, second.uri) == (4, False, f"{uri}/model", uri)
    assert [line["step"] for line in second.history if "loss" in line] == [1, 2, 3, 4]
    assert load_model(second.model or "").read(["my-pages/8.png"]) == trainer.predict("my-pages/8.png")
    assert not Path("runs").exists()


def test_a_place_in_a_store_is_no_folder(uri: str) -> None:
    trainer = build(uri)
    assert trainer.uri == uri
    with pytest.raises(ConfigurationError, match=f"checkpoint: {uri} is in an object store, so it has no folder"):
        _ = trainer.folder


def test_a_bucket_that_does_not_exist_is_refused_in_the_words_of_python(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"checkpoint: .*no-such-bucket.*") as refused:
        build("s3://no-such-bucket/runs").train()
    assert "secretRef" not in str(refused.value)


def test_the_hub_cannot_hold_checkpoints() -> None:
    with pytest.raises(ConfigurationError, match=r"checkpoint\.uri: must be s3://.*got 'hf://me/checkpoints'"):
        build("hf://me/checkpoints")
