import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_local.stored_resources import KIND_NAMES, NotFoundError, delete_resource, get_resources


def build_run(name: str, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "creationTimestamp": "2026-01-02T03:04:05Z"}
    return {"apiVersion": "deepsynth.io/v1alpha1", "kind": "TrainingRun", "metadata": metadata, "status": status}


@pytest.fixture
def store(tmp_path: Path) -> ResourceStore:
    return ResourceStore(RunsFolder.open(tmp_path / "runs"))


def test_get_prints_one_resource_or_a_list_as_yaml_or_json(store: ResourceStore) -> None:
    store.save(build_run("a", state="Running"))
    store.save(build_run("b", state="Failed"))

    assert yaml.safe_load(get_resources(store, ["TrainingRun"], "a", "yaml")) == build_run("a", state="Running")
    listed = json.loads(get_resources(store, ["TrainingRun"], None, "json"))
    assert listed["kind"] == "List"
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]


def test_get_prints_one_table_per_kind_with_resources(store: ResourceStore) -> None:
    assert get_resources(store, ["DatasetGeneration", "TrainingRun"], None, "table") == ""
    store.save(build_run("a", state="Running"))

    lines = get_resources(store, ["DatasetGeneration", "TrainingRun"], None, "table").splitlines()

    assert [line.split()[:2] for line in lines] == [["NAME", "STATE"], ["a", "Running"]]


def test_a_missing_resource_is_reported_with_the_folder(store: ResourceStore) -> None:
    with pytest.raises(NotFoundError, match=r'trainingruns\.deepsynth\.io "zebra" not found in .*runs'):
        get_resources(store, ["TrainingRun"], "zebra", "table")


def test_a_kind_has_the_names_that_kubectl_knows() -> None:
    assert {name for name, kind in KIND_NAMES.items() if kind == "TrainingRun"} == {
        "trun",
        "trainingrun",
        "trainingruns",
        "trainingruns.deepsynth.io",
    }


def test_a_name_with_a_slash_deletes_nothing(store: ResourceStore) -> None:
    file = store.runs.volumes / "a.yaml"
    file.write_text("data")
    (store.runs.path / "trainingruns").mkdir()

    with pytest.raises(NotFoundError):
        delete_resource(store, "TrainingRun", "../volumes/a")
    assert file.exists()


def test_a_deleted_resource_is_gone_and_its_data_is_kept(store: ResourceStore) -> None:
    store.save(build_run("a"))

    assert delete_resource(store, "TrainingRun", "a").startswith('trainingrun "a" deleted; its data in ')
    with pytest.raises(NotFoundError, match=r'trainingruns\.deepsynth\.io "a" not found'):
        delete_resource(store, "TrainingRun", "a")
