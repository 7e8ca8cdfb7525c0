"""`deepsynth apply --local`: a process in the background runs the resources, as the operator does in a cluster."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deepsynth.__main__ import main
from deepsynth_local.processes.leftovers import RUNS_MARKER, find_processes
from deepsynth_local.runs.runs_folder import RunsFolder
from integration.local import fake_workloads
from integration.local.test_deepsynth_local import GENERATION, RUN

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `deepsynth` on the folder. A background process ends when all resources are at rest."""
    (tmp_path / "pages.yaml").write_text(GENERATION)
    (tmp_path / "read.yaml").write_text(RUN)
    fake_workloads.install(tmp_path / "fake", monkeypatch)
    monkeypatch.chdir(tmp_path)
    yield lambda *arguments: main([*arguments, "--runs", "runs"])
    wait_for_rest(tmp_path / "runs")


def wait_for_rest(runs: Path) -> None:
    """Until no process runs the resources."""
    while runs.exists() and RunsFolder(runs).is_locked:
        time.sleep(0.1)


def test_resources_run_in_the_background_and_can_be_waited_for_and_looked_at(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("apply", "-f", "pages.yaml", "read.yaml") == 0
    assert capsys.readouterr().out == "datasetgeneration/pages created\ntrainingrun/read created\n"
    assert run("wait", "trun", "read") == 0
    assert "trainingrun/read is Complete" in capsys.readouterr().err
    assert run("logs", "read") == 0
    assert capsys.readouterr().out == "train of read: ok\n"
    assert run("describe", "read") == 0
    text = capsys.readouterr().out
    assert "DatasetReady" in text
    assert "Succeeded" in text
    assert run("apply", "-f", "read.yaml") == 0
    assert capsys.readouterr().out == "trainingrun/read unchanged\n"


def test_a_running_run_is_suspended_and_resumed_by_other_commands(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TRAIN", "wait-once")
    assert run("apply", "-f", "pages.yaml") == 0
    assert run("apply", "-f", "read.yaml") == 0  # the process that runs, or another one, takes it
    assert run("wait", "read", "--for", "state=Running", "--timeout", "10m") == 0
    assert run("suspend", "read") == 0
    assert run("wait", "read", "--for", "state=Suspended", "--timeout", "10m") == 0
    assert run("resume", "read") == 0
    assert run("wait", "read", "--timeout", "10m") == 0
    assert "trainingrun/read is Complete" in capsys.readouterr().err
    assert run("logs", "read", "--previous") == 0
    assert capsys.readouterr().out.endswith("train of read: wait-once\n")


@pytest.mark.slow
def test_a_running_run_that_is_deleted_takes_its_process_with_it(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TRAIN", "wait")
    assert run("apply", "-f", "pages.yaml", "read.yaml") == 0
    assert run("wait", "read", "--for", "state=Running", "--timeout", "10m") == 0
    assert find_processes(RUNS_MARKER, str(tmp_path / "runs"))
    assert run("delete", "trun", "read") == 0
    assert run("get", "trun", "read") == 1
    wait_for_rest(tmp_path / "runs")
    assert find_processes(RUNS_MARKER, str(tmp_path / "runs")) == []


def test_an_invalid_file_starts_nothing(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text(RUN.replace("maxSteps: 4", "maxSteps: four"))

    assert run("apply", "-f", "bad.yaml") == 64
    assert "bad.yaml:8: spec.maxSteps" in capsys.readouterr().err
    assert not (tmp_path / "runs/requests").exists()
