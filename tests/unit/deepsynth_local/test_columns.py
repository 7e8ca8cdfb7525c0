import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth_api.errors import TemporaryError
from deepsynth_local.columns import build_table, format_age, format_table
from deepsynth_local.get import KIND_NAMES, NotFoundError, get_resources
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (119, "119s"),
        (200, "3m20s"),
        (300, "5m"),
        (93 * 60, "93m"),
        (7500, "125m"),
        (18300, "5h5m"),
        (20 * 3600, "20h"),
        (76 * 3600, "3d4h"),
        (30 * 86400, "30d"),
        (800 * 86400, "2y70d"),
        (4000 * 86400, "10y"),
    ],
)
def test_an_age_reads_as_in_kubectl(seconds: int, text: str) -> None:
    assert format_age(seconds) == text


def build_run(name: str, **status: Any) -> dict[str, Any]:
    created = (NOW - timedelta(minutes=93)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": name, "namespace": "default", "creationTimestamp": created}
    return {"apiVersion": "deepsynth.io/v1alpha1", "kind": "TrainingRun", "metadata": metadata, "status": status}


def test_a_table_looks_as_the_readme_shows_it() -> None:
    summary = {"progress": "42%", "step": "1260/3000", "loss": "1.83", "eta": "2h5m", "checkpoint": "1200"}
    run = build_run("read-xsum", state="Running", restarts=1, summary=summary)

    table = format_table(build_table("TrainingRun", [run], NOW))

    assert table == (
        "NAME        STATE     PROGRESS   STEP        LOSS   ETA    CHECKPOINT   RESTARTS   AGE\n"
        "read-xsum   Running   42%        1260/3000   1.83   2h5m   1200         1          93m"
    )


def test_the_wide_table_adds_the_columns_of_lower_priority_and_leaves_unknown_cells_empty() -> None:
    header, row = build_table("TrainingRun", [build_run("a")], NOW, wide=True)

    assert header[-5:] == ["NODES", "DATASET", "SAMPLES/S", "MODEL", "REASON"]
    assert row == ["a", *[""] * 7, "93m", *[""] * 5]


@pytest.fixture
def store(tmp_path: Path) -> ResourceStore:
    return ResourceStore(RunsFolder.open(tmp_path / "runs"))


def test_resources_survive_on_disk_in_their_namespaces(store: ResourceStore) -> None:
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


def test_a_disk_that_does_not_take_the_resource_is_named_with_the_remedy(store: ResourceStore) -> None:
    (store.runs.path / "trainingruns").write_text("in the way")

    with pytest.raises(TemporaryError, match=r"cannot be written: .*; free some space and run again"):
        store.save(build_run("a"))


def test_get_prints_one_resource_or_a_list_as_yaml_or_json(store: ResourceStore) -> None:
    store.save(build_run("a", state="Running"))
    store.save(build_run("b", state="Failed"))

    assert yaml.safe_load(get_resources(store, ["TrainingRun"], "a", "yaml")) == build_run("a", state="Running")
    listed = json.loads(get_resources(store, ["TrainingRun"], None, "json"))
    assert listed["kind"] == "List"
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]


def test_get_shows_one_table_per_kind_that_has_something(store: ResourceStore) -> None:
    assert get_resources(store, ["DatasetGeneration", "TrainingRun"], None, "table") == ""
    store.save(build_run("a", state="Running"))

    lines = get_resources(store, ["DatasetGeneration", "TrainingRun"], None, "table").splitlines()

    assert [line.split()[:2] for line in lines] == [["NAME", "STATE"], ["a", "Running"]]


def test_what_is_not_there_is_said_with_where_was_looked(store: ResourceStore) -> None:
    with pytest.raises(NotFoundError, match=r'trainingruns\.deepsynth\.io "zebra" not found in .*runs'):
        get_resources(store, ["TrainingRun"], "zebra", "table")


def test_a_kind_goes_by_every_name_that_kubectl_knows() -> None:
    assert {name for name, kind in KIND_NAMES.items() if kind == "TrainingRun"} == {
        "trun",
        "trainingrun",
        "trainingruns",
        "trainingruns.deepsynth.io",
    }
