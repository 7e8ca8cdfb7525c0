"""The real workloads once: docstrings become pages, a small model takes two steps on them, the report shows both."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from deepsynth.__main__ import main
from support.store.hub_server.server import HubServer

RESOURCES = """\
apiVersion: deepsynth.io/v1alpha1
kind: DatasetGeneration
metadata: {name: docstrings}
spec:
  source: {uri: "docstrings://", maxRowsPerSplit: 40}
  page: {size: "512"}
  output: {uri: pvc://demo/pages}
---
apiVersion: deepsynth.io/v1alpha1
kind: TrainingRun
metadata: {name: read}
spec:
  model: {uri: config://deepseek-ocr2-tiny}
  datasets: [{name: docstrings, datasetGenerationRef: {name: docstrings}}]
  imageProcessor: {size: 64}
  precision: fp32
  globalBatchSize: 2
  maxSteps: 2
  maxDroppedPercent: 100
  checkpoint: {uri: pvc://demo/checkpoints, everySteps: 2}
  evaluation: {everySteps: 2, maxSamples: 2, maxNewTokens: 4}
"""


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def test_a_missing_token_fails_the_resource_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-token-here"))
    generation = yaml.safe_load(RESOURCES.split("---", maxsplit=1)[0])
    generation["spec"].update(source={"uri": "pvc://demo/texts"}, output={"uri": "hf://datasets/someone/pages"})
    (tmp_path / "hub.yaml").write_text(yaml.safe_dump(generation))
    texts = tmp_path / "runs/volumes/demo/texts"
    texts.mkdir(parents=True)
    (texts / "train.jsonl").write_text(json.dumps({"text": "Long enough for a page. " * 20, "summary": "Long enough."}))
    with HubServer() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        code = main(["local", "-f", str(tmp_path / "hub.yaml"), "--runs", str(tmp_path / "runs")])

    error = capsys.readouterr().err
    assert code == 1
    assert "hf://datasets/someone/pages was not found without a token" in error
    assert "export HF_TOKEN=hf_..." in error
    assert "Traceback" not in error
    status = load(tmp_path / "runs/datasetgenerations/docstrings.yaml")["status"]
    assert status["lastFailure"]["exitCode"] == 64


def test_a_hub_that_cannot_be_reached_fails_the_resource_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)  # a port that is closed from here on
    generation = yaml.safe_load(RESOURCES.split("---", maxsplit=1)[0])
    generation["spec"].update(source={"uri": "hf://datasets/someone/texts"}, backoffLimitPerIndex=0)
    (tmp_path / "hub.yaml").write_text(yaml.safe_dump(generation))

    code = main(["local", "-f", str(tmp_path / "hub.yaml"), "--runs", str(tmp_path / "runs")])

    error = capsys.readouterr().err
    assert code == 1
    assert f"at {hub.url}, tried " in error  # up to four times, as long as each failed at once
    assert "check the network and HF_ENDPOINT" in error
    assert "Traceback" not in error
    status = load(tmp_path / "runs/datasetgenerations/docstrings.yaml")["status"]
    assert (status["state"], status["lastFailure"]["exitCode"]) == ("Failed", 75)
    assert status["lastFailure"]["reason"] == "HubUnreachable"
    assert "check the network and HF_ENDPOINT" in status["lastFailure"]["message"]


def test_documents_become_pages_and_a_model_is_trained_on_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "demo.yaml").write_text(RESOURCES)
    runs = tmp_path / "runs"

    code = main(["local", "-f", str(tmp_path / "demo.yaml"), "--runs", str(runs)])

    said = capsys.readouterr()
    assert code == 0, said.err
    generation, run = load(runs / "datasetgenerations/docstrings.yaml"), load(runs / "trainingruns/read.yaml")
    files = sorted((runs / "volumes/demo/pages/data").glob("*.parquet"))
    assert sum(pq.read_metadata(file).num_rows for file in files) == generation["status"]["output"]["pages"]
    assert run["status"]["progress"]["step"] == 2
    assert (runs / "volumes/demo/checkpoints/model/model.safetensors").exists()
    report = (runs / "report.html").read_text()
    read = list((runs / "volumes/demo/checkpoints/samples/pages").iterdir())
    assert len(read) >= 2
    assert report.count("data:image/png;base64,") == 8 + len(read), "pages of the dataset and those that it read"
    assert "What the model wrote after step 2" in report
    assert [sample["step"] for sample in run["status"]["samples"]] == [2, 2]
    assert "validation, pages swapped" in report
    assert main(["get", "trun", "--runs", str(runs)]) == 0
    assert "2/2" in capsys.readouterr().out


def test_with_json_all_that_a_local_generation_logs_are_records(tmp_path: Path) -> None:
    """Of the command and of its pods; nothing reads these lines, so that the generation completes as with text."""
    (tmp_path / "pages.yaml").write_text(RESOURCES.split("---", maxsplit=1)[0])
    runs, temporary = tmp_path / "runs", tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "deepsynth", "local", "-f", str(tmp_path / "pages.yaml"), "--runs", str(runs)],
        env={**os.environ, "DEEPSYNTH_LOG_FORMAT": "json", "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(line["kind"], line["namespace"], line["name"]) for line in shown if "kind" in line} == {
        ("DatasetGeneration", "default", "docstrings")
    }
    (end,) = (line for line in shown if line["message"].startswith("datasetgeneration/docstrings is Complete\n"))
    assert end["level"] == "info"
    logs = {file: file.read_text().splitlines() for file in (runs / "logs").iterdir()}
    assert {json.loads(line)["step"] for lines in logs.values() for line in lines} == {"plan", "render", "publish"}
    assert list(temporary.iterdir()) == [], "nothing stays in the folder for temporary files"


CONSTANT = """\
  optimizer: {schedule: constant, warmupSteps: 2}
  checkpoint: {uri: pvc://demo/NAME, everySteps: 3}
"""


def read_curve(run: Path) -> list[dict[str, Any]]:
    """Loss, gradient norm and learning rate of each step, from the last checkpoint."""
    folder = run / (run / "latest").read_text()
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [
        {key: line[key] for key in ("step", "loss", "grad_norm", "learning_rate")} for line in lines if "loss" in line
    ]


@pytest.mark.slow
def test_a_finished_run_with_more_steps_trains_as_one_that_had_them_from_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    generation, run = RESOURCES.split("---\n")
    run = run.split("  checkpoint:")[0]
    runs, file = tmp_path / "runs", tmp_path / "demo.yaml"

    def train(name: str, steps: int) -> Any:
        document = (run + CONSTANT).replace("name: read", f"name: {name}").replace("NAME", name)
        file.write_text(f"{generation}---\n{document}".replace("maxSteps: 2", f"maxSteps: {steps}"))
        assert main(["local", "-f", str(file), "--runs", str(runs)]) == 0, capsys.readouterr().err
        return load(runs / f"trainingruns/{name}.yaml")["status"]

    train("whole", 7)
    first = train("grown", 4)
    assert first["output"]["step"] == 4
    grown = train("grown", 7)

    assert [attempt.get("resumedFromStep") for attempt in grown["attempts"]] == [None, 4]
    assert grown["history"][0]["changes"] == [{"field": "maxSteps", "before": "4", "after": "7"}]
    assert (grown["state"], grown["restarts"], grown["output"]["step"]) == ("Complete", 0, 7)
    volume = runs / "volumes/demo"
    assert read_curve(volume / "grown") == read_curve(volume / "whole")
    model = "model/model.safetensors"
    assert (volume / "grown" / model).read_bytes() == (volume / "whole" / model).read_bytes()

    # All checkpoints are gone: the run must not start again at 0 and call that a continuation.
    for step in (volume / "grown").glob("step-*"):
        shutil.rmtree(step)
    file.write_text(file.read_text().replace("maxSteps: 7", "maxSteps: 9"))
    assert main(["local", "-f", str(file), "--runs", str(runs)]) == 1
    assert "holds no checkpoint anymore" in capsys.readouterr().err
    attempt = load(runs / "trainingruns/grown.yaml")["status"]["attempts"][-1]
    assert (attempt["reason"], attempt["exitCode"]) == ("CheckpointMissing", 64)
