"""After an upgrade: resources that an older version stored load, and the controller continues where it was."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.kinds import KINDS
from deepsynth_api.report import PublishReport, RenderReport, Report, TrainReport
from deepsynth_client.manifest_file import parse_manifests
from deepsynth_local.admission.admit import admit
from support.control.controller import Controller
from support.resources.older_resources import OLDER_RESOURCES, RECORDINGS, load_recording

ALL = sorted(path.stem for path in RECORDINGS.glob("*.yaml"))
FINISHED = [name for name in ALL if not name.endswith("_running")]


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller()
    yield controller
    controller.close()


@pytest.mark.parametrize("older", OLDER_RESOURCES.values(), ids=OLDER_RESOURCES)
def test_a_resource_of_an_older_shape_is_admitted(older: dict[str, Any]) -> None:
    assert admit(parse_manifests(json.dumps(older), "older.yaml")[0])["spec"]


@pytest.mark.parametrize("older", OLDER_RESOURCES.values(), ids=OLDER_RESOURCES)
def test_a_resource_of_an_older_shape_continues(control: Controller, older: dict[str, Any]) -> None:
    metadata = {**older["metadata"], "namespace": "default", "uid": "uid-1", "generation": 1}
    control.cluster.restore_resource({"status": {}, **older, "metadata": metadata})
    control.settle()
    stored = control.cluster.store.get(older["kind"], "default", "older")
    assert stored is not None
    assert stored["status"]["observedGeneration"] == 1
    assert stored["status"]["state"] not in {"Failed", "Pending"}
    assert control.list_jobs() != []


def restore(control: Controller, name: str) -> dict[str, Any]:
    """Put a recording in the cluster, ten minutes after it began; the resource as it was recorded."""
    resource, children = load_recording(name)
    control.clock.advance(600)
    with control.cluster.hold():
        control.cluster.restore_resource(resource)
        for child in children:
            control.cluster.store.restore(child)
    return resource


def get_status(control: Controller, older: dict[str, Any]) -> dict[str, Any]:
    stored = control.cluster.store.get(older["kind"], "default", older["metadata"]["name"])
    assert stored is not None
    status: dict[str, Any] = stored["status"]
    return status


@pytest.mark.parametrize("name", ALL)
def test_a_recorded_status_loses_nothing_when_it_is_loaded(name: str) -> None:
    older, _ = load_recording(name)
    loaded = KINDS[older["kind"]].resource.model_validate(older)
    assert drop_later_fields(loaded.status.to_dict(), older["status"]) == older["status"]


def drop_later_fields(loaded: Any, older: Any) -> Any:
    """`loaded` without the fields that `older` lacks, at any depth: those of later versions are added, empty."""
    if isinstance(loaded, dict) and isinstance(older, dict):
        return {name: drop_later_fields(loaded[name], older[name]) for name in older.keys() & loaded.keys()}
    if isinstance(loaded, list) and isinstance(older, list) and len(loaded) == len(older):
        return [drop_later_fields(new, old) for new, old in zip(loaded, older, strict=True)]
    return loaded


@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_resource_is_never_written_again(control: Controller, name: str) -> None:
    older = restore(control, name)
    before = control.cluster.store.get(older["kind"], "default", older["metadata"]["name"])
    control.settle()
    control.advance(86400, step=21600)
    assert control.cluster.store.get(older["kind"], "default", older["metadata"]["name"]) == before
    assert control.list_jobs() == []
    assert control.cluster.events == []


def test_a_running_run_keeps_its_state_and_completes(control: Controller) -> None:
    older = restore(control, "training_run_running")
    jobs = control.list_jobs()
    control.settle()
    status = get_status(control, older)
    for field in ("state", "startTime", "attempts", "datasets", "checkpoints", "savedStep", "restarts", "failures"):
        assert drop_later_fields(status[field], older["status"][field]) == older["status"][field], field
    assert control.list_jobs() == jobs
    report = TrainReport(attempt=2, phase="done", step=100, total_steps=100, saved_step=100)
    control.end("read-xsum-train-2-0", 0, Report(step="train", time=control.clock.now(), train=report))
    control.settle()
    status = get_status(control, older)
    assert status["state"] == "Complete"
    assert [attempt["outcome"] for attempt in status["attempts"]] == ["Failed", "Succeeded"]
    before = older["status"]["attempts"][0]
    assert drop_later_fields(status["attempts"][0], before) == before
    assert (status["datasets"], status["failures"]) == (older["status"]["datasets"], 1)


def test_a_running_generation_keeps_its_state_and_completes(control: Controller) -> None:
    older = restore(control, "dataset_generation_running")
    jobs = control.list_jobs()
    control.settle()
    status = get_status(control, older)
    for field in ("state", "startTime", "plan", "jobs", "lastFailure"):
        assert drop_later_fields(status[field], older["status"][field]) == older["status"][field], field
    assert status["progress"]["rows"] >= older["status"]["progress"]["rows"]
    assert control.list_jobs() == jobs
    while living := [pod for pod in control.runner.get_living() if pod.startswith("xsum-render-1-")]:
        report = RenderReport(shard=int(living[0].split("-")[3]), documents_total=10, documents=10, pages=20)
        control.end(living[0], 0, Report(step="render", time=control.clock.now(), render=report))
        control.settle()
    control.advance(30)
    published = PublishReport(uri="pvc://data/xsum", revision="v1", rows=30, pages=60, bytes=9, manifest_sha256="m")
    control.end("xsum-publish-1-0", 0, Report(step="publish", time=control.clock.now(), publish=published))
    control.settle()
    status = get_status(control, older)
    assert (status["state"], status["output"]["revision"]) == ("Complete", "v1")
    assert drop_later_fields(status["plan"], older["status"]["plan"]) == older["status"]["plan"]
    assert status["progress"]["rows"] >= older["status"]["progress"]["rows"]
