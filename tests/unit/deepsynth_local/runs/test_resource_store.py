from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError, TemporaryError
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder


def build_run(name: str, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "creationTimestamp": "2026-01-02T03:04:05Z"}
    return {"apiVersion": "deepsynth.io/v1alpha1", "kind": "TrainingRun", "metadata": metadata, "status": status}


@pytest.fixture
def store(tmp_path: Path) -> ResourceStore:
    return ResourceStore(RunsFolder.open(tmp_path / "runs"))


def test_resources_are_kept_on_disk_by_namespace(store: ResourceStore) -> None:
    other = build_run("a")
    other["metadata"]["namespace"] = "team"
    store.save(build_run("b", state="Complete"))
    store.save(other)

    assert store.load("TrainingRun", "default", "b") == build_run("b", state="Complete")
    assert store.load("TrainingRun", "default", "a") is None
    assert [item["metadata"]["name"] for item in store.list_all("TrainingRun")] == ["a", "b"]
    assert store.delete("TrainingRun", "team", "a")
    assert not store.delete("TrainingRun", "team", "a")
    assert store.list_all("DatasetGeneration") == []


def test_a_resource_that_cannot_be_written_is_named_with_the_remedy(store: ResourceStore) -> None:
    (store.runs.path / "trainingruns").write_text("not a folder")

    with pytest.raises(TemporaryError, match=r"cannot be written: .*; free some space and run again"):
        store.save(build_run("a"))


@pytest.mark.parametrize(
    "text",
    [
        "kind: TrainingRun",
        "metadata: {name: a, namespace: default}",
        "[]",
        "{kind: TrainingRun, metadata: {name: 5, namespace: default}}",
        "{kind: TrainingRun, metadata: {name: a, namespace: default}, status: 7}",
    ],
    ids=range(5),
)
def test_a_damaged_file_is_named_with_the_remedy(store: ResourceStore, text: str) -> None:
    damaged = store.runs.path / "trainingruns/a.yaml"
    damaged.parent.mkdir(parents=True)
    damaged.write_text(text)

    with pytest.raises(ConfigurationError, match=r"a\.yaml: is damaged; delete the file to forget this resource"):
        store.list_all()


def test_a_file_that_cannot_be_read_is_named(store: ResourceStore) -> None:
    (store.runs.path / "trainingruns/a.yaml").mkdir(parents=True)

    with pytest.raises(ConfigurationError, match=r"a\.yaml: cannot be read: Is a directory"):
        store.list_all()
