"""`deepsynth local` with containers that end in milliseconds: what it runs, prints, saves and returns."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth.__main__ import main
from deepsynth_api.errors import TemporaryError
from deepsynth_local.processes.leftovers import RUNS_MARKER, find_processes
from deepsynth_local.runs.resource_store import ResourceStore
from integration.local import fake_workloads

GENERATION = """\
apiVersion: deepsynth.io/v1alpha1
kind: DatasetGeneration
metadata: {name: pages}
spec:
  source: {uri: "docstrings://"}
  output: {uri: pvc://demo/pages}
"""
RUN = """\
---
apiVersion: deepsynth.io/v1alpha1
kind: TrainingRun
metadata: {name: read}
spec:
  model: {uri: config://deepseek-ocr2-tiny}
  datasets: [{name: pages, datasetGenerationRef: {name: pages}}]
  maxSteps: 4
  checkpoint: {uri: pvc://demo/checkpoints}
"""


class Workplace:
    """A folder with a file of resources and a runs folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        self.runs = folder / "runs"
        self.file = folder / "resources.yaml"
        self.file.write_text(GENERATION + RUN)

    def fake(self, **behaviours: str) -> None:
        fake_workloads.install(self.folder / "fake", self._monkeypatch, **behaviours)

    def run(self, *arguments: str) -> int:
        return main(["local", "--runs", str(self.runs), *(arguments or ("-f", str(self.file)))])

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "deepsynth", "local", "--runs", str(self.runs), "-f", str(self.file)]
        return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)

    def load(self, kind: str, name: str) -> Any:
        return yaml.safe_load((self.runs / f"{kind}s" / f"{name}.yaml").read_text())

    def wait_for(self, name: str) -> None:
        """Wait until a fake container has created this file."""
        self._wait((self.runs / "volumes" / name).exists)

    def wait_for_state(self, state: str) -> None:
        """Wait until the TrainingRun on disk is in this state."""
        self._wait(lambda: self.load("trainingrun", "read")["status"].get("state") == state)

    def wait_for_attempt(self) -> None:
        """Wait until the Job of the attempt is on disk: before that the attempt would just start again."""
        self._wait(lambda: bool(self.load("trainingrun", "read")["status"]["attempts"][0].get("jobUid")))

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 600
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    place = Workplace(tmp_path, monkeypatch)
    place.fake()
    return place


def test_two_resources_run_to_their_end_and_the_command_prints_where_the_results_are(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workplace.run() == 0

    said = capsys.readouterr()
    volumes = workplace.runs / "volumes"
    assert f"dataset of 10 documents on 14 pages: {volumes}/demo/pages" in said.out
    assert f"best checkpoint (step 4, validation loss 1.500): {volumes}/demo/checkpoints/step-4" in said.out
    assert f"report: {workplace.runs}/report.html" in said.out
    assert "trainingrun/read: DatasetReady: " in said.out
    assert said.err == ""
    assert workplace.load("trainingrun", "read")["status"]["state"] == "Complete"
    assert workplace.load("datasetgeneration", "pages")["status"]["output"]["rows"] == 10


def test_a_second_command_prints_the_results_and_starts_nothing(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workplace.run() == 0
    before = workplace.load("trainingrun", "read")
    logs = list((workplace.runs / "logs").iterdir())
    capsys.readouterr()

    assert workplace.run() == 0

    assert "trainingrun/read is Complete" in capsys.readouterr().out
    assert workplace.load("trainingrun", "read") == before
    assert list((workplace.runs / "logs").iterdir()) == logs


def test_a_worker_that_is_killed_leads_to_a_second_attempt(workplace: Workplace) -> None:
    workplace.fake(train="kill-once")

    assert workplace.run() == 0

    attempts = workplace.load("trainingrun", "read")["status"]["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["Failed", "Succeeded"]
    assert attempts[0]["exitCode"] == 137


@pytest.mark.parametrize(
    ("step", "kind", "name"), [("plan", "datasetgeneration", "pages"), ("train", "trainingrun", "read")]
)
def test_a_failure_is_printed_with_the_log_and_the_remedy(
    workplace: Workplace, capsys: pytest.CaptureFixture[str], step: str, kind: str, name: str
) -> None:
    workplace.fake(**{step: "64"})

    assert workplace.run() == 1

    error = capsys.readouterr().err
    assert f"{kind}/{name} failed: " in error
    assert f"{step} is wrong; fix it" in error
    assert f"| {step} of {name}: 64" in error
    assert f"deepsynth delete {kind} {name}" in error
    assert "Traceback" not in error
    assert workplace.load(kind, name)["status"]["state"] == "Failed"


def test_a_run_whose_dataset_failed_ends_the_command(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    workplace.fake(plan="65")

    assert workplace.run() == 1

    assert "trainingrun/read cannot continue: dataset pages: DatasetGeneration pages" in capsys.readouterr().err


def test_after_delete_a_failed_resource_runs_again(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    workplace.fake(train="64")
    assert workplace.run() == 1
    assert main(["delete", "trun", "read", "--runs", str(workplace.runs)]) == 0
    assert "its data is kept: pvc://demo/checkpoints" in capsys.readouterr().out
    workplace.fake()

    assert workplace.run() == 0


def test_a_change_of_a_started_resource_is_refused_with_the_remedy(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workplace.run() == 0
    workplace.file.write_text(GENERATION + RUN + "  seed: 7\n")

    assert workplace.run() == 64

    error = capsys.readouterr().err
    assert "spec.seed cannot change once the TrainingRun has started" in error
    assert "or start over under this name: deepsynth delete trainingrun read" in error


def test_a_run_uses_a_dataset_of_an_earlier_command(workplace: Workplace) -> None:
    workplace.fake(render="75")
    workplace.file.write_text(GENERATION + "  backoffLimitPerIndex: 0\n")
    assert workplace.run() == 1
    main(["delete", "dsg", "pages", "--runs", str(workplace.runs)])
    workplace.fake()
    assert workplace.run() == 0
    workplace.file.write_text(RUN)

    assert workplace.run() == 0

    assert workplace.load("trainingrun", "read")["status"]["datasets"][0]["revision"] == "c" * 40


def test_ctrl_c_saves_and_the_next_command_continues(workplace: Workplace) -> None:
    workplace.fake(train="wait-once")
    command = workplace.start()
    workplace.wait_for("waiting")
    command.send_signal(signal.SIGINT)
    said, error = command.communicate(timeout=600)

    assert command.returncode == 130
    assert "stopping: pods save their progress; press Ctrl-C again to kill them" in said
    assert "trainingrun/read is Suspended: stopped by Ctrl-C; run the same command again to continue\n" in said
    assert "run the same command again to continue" in error
    assert workplace.load("trainingrun", "read")["status"]["state"] == "Suspended"

    assert workplace.run() == 0
    attempts = workplace.load("trainingrun", "read")["status"]["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["Suspended", "Succeeded"]


def test_a_second_ctrl_c_does_not_wait_for_pods_that_do_not_stop(workplace: Workplace) -> None:
    workplace.fake(train="stubborn")
    command = workplace.start()
    workplace.wait_for("waiting")
    command.send_signal(signal.SIGINT)
    workplace.wait_for_state("Suspended")
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=600)

    assert command.returncode == 130
    assert find_processes(RUNS_MARKER, str(workplace.runs)) == []


def test_a_second_command_in_the_folder_is_refused_and_continues_when_the_first_was_killed(
    workplace: Workplace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = workplace.folder / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    workplace.fake(train="wait-once")
    command = workplace.start()
    workplace.wait_for("waiting")
    workplace.wait_for_attempt()
    assert workplace.run() == 64
    assert "another deepsynth command is using this folder" in capsys.readouterr().err
    command.kill()
    command.communicate()
    assert [folder.name[:14] for folder in temporary.iterdir()] == ["deepsynth-pod-"]

    assert workplace.run() == 0

    assert list(temporary.iterdir()) == [], "also of the pods of the killed command"
    attempts = workplace.load("trainingrun", "read")["status"]["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["Disrupted", "Succeeded"]
    assert workplace.load("trainingrun", "read")["status"]["failures"] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: [\n", "resources.yaml:2: not valid YAML"),
        ("# nothing\n", "must contain at least one resource, found none"),
        (GENERATION.replace("docstrings://", "docs"), 'spec.source.uri: Invalid value: "docs"'),
        (GENERATION.replace('source: {uri: "docstrings://"}', "preset: xsun"), "did you mean xsum?"),
        (GENERATION + "  parralelism: 3\n", "spec.parralelism: unknown field; did you mean parallelism?"),
        (GENERATION + "---\n" + GENERATION, 'DatasetGeneration "pages" appears twice in these files'),
        (RUN, 'DatasetGeneration "pages" not found in these files'),
        (
            GENERATION + RUN + "  resourcesPerNode: {limits: {nvidia.com/gpu: 64}}\n",
            "all nodes together ask for 64 GPUs, but this machine has",
        ),
    ],
)
def test_an_invalid_file_starts_nothing_and_prints_what_to_do(
    workplace: Workplace, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    workplace.file.write_text(text)

    assert workplace.run() == 64

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not workplace.runs.exists()


def test_a_missing_file_and_missing_arguments_are_exit_code_64(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workplace.run("-f", str(workplace.folder / "none.yaml")) == 64
    assert "none.yaml: cannot be read: No such file or directory" in capsys.readouterr().err
    assert main(["local"]) == 64
    assert main(["--help"]) == 0


def test_a_full_disk_ends_the_command_with_the_remedy(
    workplace: Workplace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = ResourceStore.save
    count = 0

    def fill_up(store: ResourceStore, resource: Any) -> None:
        nonlocal count
        count += 1
        if count > 4:
            raise TemporaryError(f"{store.runs.path}: cannot be written: No space left on device; free some space")
        saved(store, resource)

    workplace.fake(train="wait")
    monkeypatch.setattr(ResourceStore, "save", fill_up)

    assert workplace.run() == 75

    assert "No space left on device; free some space" in capsys.readouterr().err
    assert find_processes(RUNS_MARKER, str(workplace.runs)) == []


def test_templates_can_be_run_from_a_pipe(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["template", "dataset", "mlsum_fr", "--max-rows", "10"]) == 0
    text = capsys.readouterr().out
    command = [sys.executable, "-m", "deepsynth", "local", "--runs", str(workplace.runs), "-f", "-"]

    ended = subprocess.run(command, input=text, text=True, capture_output=True, check=False, env=dict(os.environ))

    assert ended.returncode == 0, ended.stderr
    assert workplace.load("datasetgeneration", "mlsum-fr")["spec"]["source"]["maxRowsPerSplit"] == 10


@pytest.mark.parametrize("command", [["local"], ["apply", "--local"]])
def test_a_refused_file_leaves_no_runs_folder(workplace: Workplace, command: list[str]) -> None:
    workplace.file.write_text(GENERATION.replace("docstrings://", "nowhere"))

    assert main([*command, "--runs", str(workplace.runs), "-f", str(workplace.file)]) == 64

    assert not workplace.runs.exists()


def test_a_training_on_a_preset_that_is_not_rendered_names_the_command(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    workplace.file.write_text(RUN.replace("name: pages}}", "name: mlsum-fr}}"))

    assert workplace.run() == 64

    assert "make generate-dataset DATASET=mlsum_fr" in capsys.readouterr().err


def test_what_to_do_names_the_folder(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    workplace.fake(plan="64")
    workplace.file.write_text(GENERATION)
    workplace.run()
    option = f"--runs {workplace.runs}"

    assert f"`deepsynth delete datasetgeneration pages {option}`" in capsys.readouterr().err
    main(["describe", "pages", "--runs", str(workplace.runs)])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"delete it (`deepsynth delete datasetgeneration/pages {option}`), correct the file and apply it" in shown
