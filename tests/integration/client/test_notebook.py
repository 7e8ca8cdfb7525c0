"""Client on both places."""

import threading
from typing import Any

import pytest

from deepsynth import Client
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_client.errors import ClientError, NotFoundError, TimedOutError
from integration.client.places import Place, place, write_files
from integration.client.test_verbs import ATTEMPT, a_condition, a_running_run
from support.resources.builders import a_dataset_generation, a_training_run

__all__ = ["place"]

ENDED: dict[str, Any] = {"observedGeneration": 1, "completionTime": "2026-01-02T04:00:00Z"}


def open_client(place: Place) -> Client:
    option, value = place.options
    return Client(**{option.removeprefix("--"): value})


def test_resources_are_applied_as_types_dicts_and_files_and_read_as_types(place: Place, tmp_path: Any) -> None:
    client = open_client(place)
    run = TrainingRun.model_validate({"metadata": {"name": "typed"}, "spec": a_training_run("typed").spec})
    generation = {**a_dataset_generation("plain").to_manifest(), "metadata": {"name": "plain"}}
    generation.pop("status")
    (tmp_path / "file.yaml").write_text(
        "apiVersion: deepsynth.io/v1alpha1\nkind: DatasetGeneration\nmetadata: {name: file}\n"
        "spec: {source: {uri: 'docstrings://'}, output: {uri: pvc://data/file}}\n"
    )

    applied = client.apply(run, generation, tmp_path / "file.yaml")

    assert [type(item).__name__ for item in applied] == ["TrainingRun", "DatasetGeneration", "DatasetGeneration"]
    assert {item.metadata.name for item in client.list()} == {"typed", "plain", "file"}
    assert [item.metadata.name for item in client.list("trun")] == ["typed"]
    stored = client.get("typed")
    assert isinstance(stored, TrainingRun)
    assert stored.spec.checkpoint.uri == "pvc://checkpoints/typed"


def test_lists_are_shown_as_the_command_shows_them(place: Place) -> None:
    client = open_client(place)
    assert repr(client.list()) == "no resources"
    place.put(a_running_run())
    place.put(a_dataset_generation("plain").to_manifest())

    shown = [line.split()[0] for line in repr(client.list()).splitlines() if line]

    assert shown == ["NAME", "plain", "NAME", "read-xsum"]


def test_wait_returns_the_resource_or_raises_why_it_failed(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    client = open_client(place)
    place.put(a_running_run())
    timer = threading.Timer(0.5, lambda: place.put(a_running_run(state="Complete", **ENDED)))
    timer.start()
    assert client.wait("read-xsum").status.state == "Complete"
    timer.join()
    assert "read-xsum" in capsys.readouterr().out
    failed: dict[str, Any] = {
        "state": "Failed",
        **ENDED,
        "conditions": [a_condition("Failed", "X", "rank 1 was killed")],
    }
    place.put(a_running_run(**failed))
    with pytest.raises(ClientError, match="trainingrun/read-xsum is Failed: rank 1 was killed"):
        client.wait("read-xsum", progress=False)
    place.put(a_running_run())
    with pytest.raises(TimedOutError):
        client.wait("read-xsum", timeout=0.5, progress=False)


def test_logs_report_suspend_and_delete(place: Place) -> None:
    client = open_client(place)
    place.put(a_running_run())
    place.write_log("read-xsum-1", 0, "one", "two")
    write_files(place.volumes, {"checkpoints/read-xsum/step-2/metrics.jsonl": '{"step": 1, "loss": 2.5}\n'})

    assert [*client.logs("read-xsum")] == ["one", "two"]
    page = client.report("read-xsum")
    assert "<h1>DeepSynth report</h1>" in page.html
    assert page._repr_html_().startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    client.suspend("read-xsum")
    suspended = client.get("read-xsum")
    assert suspended.spec.suspend
    place.put(a_running_run(state="Suspended", attempts=[ATTEMPT]))
    client.delete("read-xsum", data=True)
    with pytest.raises(NotFoundError):
        client.get("read-xsum")
    assert not (place.volumes / "checkpoints/read-xsum").exists()


def test_a_run_without_a_model_has_nothing_to_load(place: Place) -> None:
    place.put(a_running_run())
    with pytest.raises(NotFoundError, match="has no model yet"):
        open_client(place).load_model("read-xsum")
