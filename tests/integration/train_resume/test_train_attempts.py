"""`python -m deepsynth_train` as a container runs it: launcher, agent, workers, training loop, checkpoints."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.report import Report, parse_report
from deepsynth_train.checkpoint.layout import list_steps
from support.free_port import find_free_port
from support.training.page_dataset import build_documents, write_dataset
from support.training.train_workloads import build_train_workload

STEPS = 400


class Attempt:
    """A launcher process."""

    def __init__(self, folder: Path, document: str, **variables: str) -> None:
        self.address = f"127.0.0.1:{find_free_port()}"
        self._message = folder / "termination.json"
        path = folder / "document.json"
        path.write_text(document)
        own = {
            "DEEPSYNTH_REPORT_ADDRESS": self.address,
            "DEEPSYNTH_TERMINATION_LOG": str(self._message),
            "DEEPSYNTH_CACHE": str(folder / "cache"),
            "TMPDIR": str(folder),
        }
        command = [sys.executable, "-m", "deepsynth_train", "--document", str(path)]
        self.process = subprocess.Popen(
            command, env={**os.environ, **own, **variables}, stdout=subprocess.PIPE, text=True
        )

    def wait_for(self, field: str, least: int) -> None:
        """Until the report's number has come that far."""
        while self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://{self.address}/report", timeout=60) as answer:
                    if json.load(answer)["train"].get(field, 0) >= least:
                        return
            except OSError:
                pass
            time.sleep(0.05)
        pytest.fail(f"the launcher ended: {self.process.stdout and self.process.stdout.read()}")

    def find_worker(self, rank: int) -> int:
        """Process id of a worker, from the environment of the launcher's children."""
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                variables = environment.read_bytes().split(b"\0")
                parent = environment.with_name("stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if parent == str(self.process.pid) and f"RANK={rank}".encode() in variables:
                return int(environment.parent.name)
        raise LookupError(f"no worker of rank {rank}")

    def wait(self, seconds: float = 600) -> tuple[int, Report, str]:
        output, _ = self.process.communicate(timeout=seconds)
        report = parse_report(self._message.read_text())
        assert report is not None
        return self.process.returncode, report, output


def build_document(folder: Path, pages: Path, steps: int = STEPS, **changes: Any) -> str:
    return build_train_workload(
        folder,
        task="ocr",
        datasets=[{"name": "d", "uri": f"file://{pages}", "validation_split": ""}],
        precision="fp32",
        global_batch_size=2,
        max_steps=steps,
        checkpoint={"uri": f"file://{folder}/checkpoints", "every_steps": 2},
        **changes,
    ).to_json()


def test_a_killed_worker_and_a_damaged_checkpoint_are_named_and_the_next_attempt_continues(tmp_path: Path) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(6)})
    first = Attempt(tmp_path, build_document(tmp_path, pages))
    first.wait_for("savedStep", 4)
    os.kill(first.find_worker(1), signal.SIGKILL)
    code, report, output = first.wait()
    assert code == 137, output
    assert report.failure is not None
    assert (report.failure.rank, report.failure.reason) == (1, "WorkerKilled")
    newest, before = list_steps(tmp_path / "checkpoints")[:2]
    damaged = tmp_path / f"checkpoints/step-{newest}/state.json"
    damaged.write_bytes(b"?" + damaged.read_bytes()[1:])

    second = Attempt(tmp_path, build_document(tmp_path, pages, attempt=2))
    second.wait_for("step", before + 1)
    second.process.send_signal(signal.SIGTERM)
    code, report, output = second.wait()
    assert code == ExitCode.STOPPED, output
    train = report.train
    assert train is not None
    assert train.resumed_from_step == before
    assert train.notes[0].startswith(f"warning: skipped the damaged checkpoint step-{newest}: state.json")
    assert train.step == train.saved_step == train.checkpoints[0].step
    assert report.failure is not None
    assert report.failure.message == f"saved step {train.saved_step}"
    assert report.previous is not None
    assert report.previous.reason == "WorkerKilled"
    assert all(line.startswith(("launcher: ", "rank ")) for line in output.splitlines())
