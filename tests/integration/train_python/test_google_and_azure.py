"""A notebook with everything in Google Cloud Storage or Azure Blob Storage: pages, checkpoints, model and report."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_store.core.uri import ObjectLocation, parse_uri
from deepsynth_store.objects.requests import ObjectCalls
from integration.train_python.own_pages import write_pages
from support.store.object_servers.azurite_server import ACCOUNT, KEY, make_container, start_azurite
from support.store.object_servers.gcs_server import build_service_account_key, make_gcs_bucket, start_gcs
from support.training.tiny_training import VIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(params=["gs", "az"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URI of an empty bucket, with its keys in the environment. The current folder has twenty pages in my-pages."""
    is_google = request.param == "gs"
    keys = (
        {"GOOGLE_BASE_URL": start_gcs(), "GOOGLE_SERVICE_ACCOUNT_KEY": build_service_account_key()}
        if is_google
        else {
            "AZURE_STORAGE_ENDPOINT": f"{start_azurite()}/{ACCOUNT}",
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
        }
    )
    folders = {"DEEPSYNTH_CACHE": str(tmp_path / "cache"), "XDG_CACHE_HOME": str(tmp_path / "models")}
    for name, value in {**keys, **folders, "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    write_pages(tmp_path / "my-pages")
    with make_gcs_bucket() if is_google else make_container() as bucket:
        yield f"{request.param}://{bucket}"


def open_calls(uri: str) -> ObjectCalls:
    location = parse_uri(uri)
    assert isinstance(location, ObjectLocation)
    return ObjectCalls(location, field="uri", on_wait=None)


def test_a_training_stops_continues_and_its_model_is_read_again(store: str) -> None:
    from deepsynth_train import create_trainer, load_model

    uri = f"{store}/runs/first"
    settings: dict[str, Any] = {"task": "ocr", "precision": "fp32", "progress": "none", "max_steps": 3}
    stopped = create_trainer(VIT, "my-pages", checkpoint=uri, callbacks=[lambda _: stopped.stop()], **settings)
    first = stopped.train()
    trainer = create_trainer(VIT, "my-pages", checkpoint=uri, **settings)
    second = trainer.train()
    assert (first.stopped, second.step, second.model) == (True, 3, f"{uri}/model")
    assert [line["step"] for line in second.history if "loss" in line] == [1, 2, 3]
    assert load_model(f"{uri}/model").read(["my-pages/8.png"]) == trainer.predict("my-pages/8.png")


def test_a_client_renders_trains_reports_and_deletes(store: str, tmp_path: Path) -> None:
    from deepsynth import Client
    from deepsynth_local.runs.runs_folder import RunsFolder

    rows = [{"text": f"Letter {number}. " + "Words. " * 9, "summary": "A letter with words."} for number in range(40)]
    open_calls(f"{store}/raw").write("train.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    client = Client(runs=tmp_path / "runs")
    client.apply(*build_resources(store))
    try:
        client.wait("letters", timeout=1800, progress=False)
        run = client.wait("read-letters", timeout=1800, progress=False)
        assert run.status.output.uri == f"{store}/runs/read-letters/model"
        page = client.report("read-letters", "letters").html
        assert "data:image/png" in page, "sample pages"
        assert "<svg" in page, "curves"
        assert len(client.load_model("read-letters").read(["my-pages/8.png"])) == 1
        client.delete("trun/read-letters", data=True)
        client.delete("dsg/letters", data=True)
        assert [entry.key for entry in open_calls(store).list()] == ["raw/train.jsonl"]
    finally:
        while RunsFolder(tmp_path / "runs").is_locked:
            time.sleep(0.1)


def build_resources(store: str) -> tuple[dict[str, Any], dict[str, Any]]:
    secret = {"secretRef": {"name": "bucket"}}
    generation = {
        "apiVersion": "deepsynth.io/v1alpha1",
        "kind": "DatasetGeneration",
        "metadata": {"name": "letters"},
        "spec": {
            "source": {"uri": f"{store}/raw/train.jsonl", **secret},
            "page": {"size": "512"},
            "output": {"uri": f"{store}/pages", **secret},
        },
    }
    run = {
        "apiVersion": "deepsynth.io/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "read-letters"},
        "spec": {
            "model": {"uri": VIT},
            "task": "ocr",
            "datasets": [{"name": "letters", "datasetGenerationRef": {"name": "letters"}, **secret}],
            "precision": "fp32",
            "globalBatchSize": 2,
            "maxSteps": 2,
            "maxDroppedPercent": 100,
            "checkpoint": {"uri": f"{store}/runs/read-letters", "everySteps": 1, **secret},
        },
    }
    return generation, run
