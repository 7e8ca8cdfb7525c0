"""The `deepsynth` command on a real cluster, as its user has it: a kubeconfig, and no other tool."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deepsynth import Client
from e2e.support.installation import Installation
from e2e.support.resources import build_run

pytestmark = pytest.mark.slow
Command = Callable[..., str]


@pytest.fixture
def deepsynth(installation: Installation, tmp_path: Path) -> Command:
    """Runs it in an empty folder, and returns what it prints on stdout."""
    environment = {**os.environ, "KUBECONFIG": str(installation.cluster.kubeconfig), "COLUMNS": "200"}

    def run(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "deepsynth", *arguments, "--namespace", installation.api.namespace]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=900
        )
        print(f"$ deepsynth {' '.join(arguments)}\n{done.stdout}{done.stderr}", flush=True)
        assert done.returncode == code, done.stderr
        return done.stdout

    return run


def test_a_run_is_followed_to_its_end_read_after_its_pods_and_deleted_with_its_data(
    deepsynth: Command, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, api, folder = "from-the-command", installation.api, installation.volume / "from-the-command"
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(build_run(name, maxSteps=20)), encoding="utf-8")
    assert "created" in deepsynth("apply", "-f", "run.yaml")
    lines = deepsynth("logs", "--follow", name)
    assert "step" in lines
    deepsynth("wait", name, "--timeout", "10m")
    assert json.loads(deepsynth("get", "trun", name, "-o", "json"))["status"]["state"] == "Complete"
    assert "Succeeded" in deepsynth("describe", name)

    run = api.get_run(name)
    api.delete_job(run.status.attempts[-1].job)
    installation.wait_for_no_pods(name, run.metadata.uid)
    kept = deepsynth("logs", name, "--rank", "0")
    assert "step 20/20" in kept
    assert "rank 0" not in kept
    deepsynth("report", name)
    assert name in (tmp_path / "report.html").read_text(encoding="utf-8")

    monkeypatch.setenv("KUBECONFIG", str(installation.cluster.kubeconfig))
    client = Client(namespace=api.namespace)
    assert client.get(name).status.state == "Complete"
    assert list(client.logs(name, rank=0)) == kept.splitlines()

    assert (folder / "model/model.safetensors").is_file()
    deepsynth("delete", name, "--data", "--yes")
    assert not folder.exists() or not any(folder.iterdir())
    deepsynth("get", "trun", name, code=1)


def test_a_run_is_suspended_resumed_and_pruned(deepsynth: Command, installation: Installation, tmp_path: Path) -> None:
    name = "suspended-by-command"
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(build_run(name, maxSteps=400)), encoding="utf-8")
    deepsynth("apply", "-f", "run.yaml")
    deepsynth("wait", name, "--for", "state=Running", "--timeout", "10m")
    deepsynth("suspend", name)
    deepsynth("wait", name, "--for", "state=Suspended", "--timeout", "10m")
    assert "Suspended" in deepsynth("get", "trainingruns")
    deepsynth("resume", name)
    deepsynth("wait", name, "--timeout", "15m")
    folder = installation.volume / name
    before = {path.name for path in folder.glob("step-*")}
    deepsynth("prune", name, "--yes")
    after = {path.name for path in folder.glob("step-*")}
    assert "step-400" in after
    assert after < before
    assert (folder / "model/model.safetensors").is_file()
    deepsynth("delete", name)
