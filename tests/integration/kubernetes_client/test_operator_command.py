"""`python -m deepsynth_operator` as a process: settings, signals, exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deepsynth_operator.__main__ import main
from integration.kubernetes_client.fake_watches import WatchedApiServer, serve_in_a_thread
from support.free_port import find_free_port
from support.resources.builders import a_training_run


def write_kubeconfig(path: Path, server: WatchedApiServer, token: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.port}"}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    path.write_text(json.dumps(config))


def wait_until(process: subprocess.Popen[bytes], log: Path, check: Callable[[], object], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def test_the_operator_runs_until_sigterm_and_exits_with_0(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serve_in_a_thread(WatchedApiServer) as server:
        write_kubeconfig(tmp_path / "config", server, "s3cret")
        variables = {
            "KUBECONFIG": str(tmp_path / "config"),
            "DEEPSYNTH_HTTP_ADDRESS": f"127.0.0.1:{find_free_port()}",
            "DEEPSYNTH_LOG_FORMAT": "json",
            "DEEPSYNTH_LOG_LEVEL": "debug",
        }
        with log.open("wb") as errors:
            command = [sys.executable, "-m", "deepsynth_operator"]
            process = subprocess.Popen(command, env={**os.environ, **variables}, stderr=errors)
        try:
            wait_until(process, log, lambda: server.watches == 4)
            server.put(a_training_run().to_manifest())
            wait_until(process, log, lambda: server.get("Job", "read-xsum-train-1"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=600) == 0
        finally:
            process.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    messages = [line["message"] for line in lines if line["logger"] == "deepsynth_operator.process.startup"]
    assert messages == ["ready: all namespaces", "stopped"]
    resource = {"kind": "TrainingRun", "namespace": "default", "name": "read-xsum"}
    assert any(resource.items() <= line.items() for line in lines)
    assert not any("Traceback" in line["message"] for line in lines)
    assert "s3cret" not in log.read_text()


def test_a_wrong_setting_prints_one_line_and_exits_with_64(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEEPSYNTH_WORKERS", "none")
    assert main() == 64
    assert capsys.readouterr().err == "deepsynth-operator: DEEPSYNTH_WORKERS: must be a positive integer, got 'none'\n"


def test_a_wrong_default_for_jobs_stops_the_operator_at_its_start_and_names_the_field(tmp_path: Path) -> None:
    path = tmp_path / "defaults.yaml"
    path.write_text("- template: {nodeSelectr: {}}")
    with serve_in_a_thread(WatchedApiServer) as server:
        write_kubeconfig(tmp_path / "config", server, "t")
        variables = {"KUBECONFIG": str(tmp_path / "config"), "DEEPSYNTH_JOB_DEFAULTS": str(path)}
        command = [sys.executable, "-m", "deepsynth_operator"]
        done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        64,
        "deepsynth-operator: jobs.defaults[0].template.nodeSelectr: unknown field\n",
    )
