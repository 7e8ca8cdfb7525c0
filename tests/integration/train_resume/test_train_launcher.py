"""The launcher with its elastic agent in this process, and workers without torch."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.report import Report, parse_report
from deepsynth_train.coordination.run_folder import RunFolder
from deepsynth_train.launcher.hangs import build_limits
from deepsynth_train.launcher.launch import Launch
from deepsynth_train.launcher.launcher_logs import configure_launcher_logs
from integration.train_resume import light_worker
from support.free_port import find_free_port
from support.training.train_workloads import build_train_workload

pytestmark = pytest.mark.usefixtures("kept_process", "restored_logging")


def launch(
    tmp_path: Path,
    mode: str,
    *,
    hang_timeout: float = 600,
    stacks_wait: float = 600,
    ring: Path | None = None,
    **changes: Any,
) -> tuple[int, Report]:
    """Exit code and final report. ring: where the workers of several nodes meet."""
    workload = build_train_workload(tmp_path, **changes)
    document = tmp_path / "document.json"
    document.write_text(workload.to_json())
    worker = [sys.executable, light_worker.__file__, mode, str(document)]

    def command(folder: RunFolder) -> list[str]:
        return [*worker, str(folder.path), str(ring or folder.path / "ring")]

    configure_launcher_logs()
    code = Launch(workload, command, build_limits(hang_timeout), culprit_wait=0.1, stacks_wait=stacks_wait).run()
    report = parse_report((tmp_path / "termination.json").read_text())
    assert report is not None
    return code, report


def test_a_successful_run_exits_0_and_reports_its_last_step(tmp_path: Path) -> None:
    code, report = launch(tmp_path, "finish")
    assert (code, report.failure) == (0, None)
    assert report.train is not None
    assert (report.train.phase, report.train.step, report.train.total_steps) == ("done", 3, light_worker.STEPS)


def test_the_end_of_what_each_rank_printed_is_kept_next_to_the_checkpoints(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _ = launch(tmp_path, "speak-1")
    assert code == 3
    shown = capfd.readouterr()
    assert "rank 1: speaks\n" in shown.out
    assert "rank 1: complains\n" in shown.err
    kept = {path.name: path.read_text() for path in (tmp_path / "checkpoints/reports").glob("*.log")}
    assert kept["attempt-1-rank-1.log"] == "speaks\ncomplains\n"
    assert "speaks" not in kept["attempt-1-rank-0.log"]


def test_with_json_every_line_of_launcher_and_workers_is_a_record_with_its_rank(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSYNTH_LOG_FORMAT", "json")
    code, _ = launch(tmp_path, "speak-1")
    assert code == 3
    shown = capfd.readouterr()
    out, err = ([json.loads(line) for line in text.splitlines()] for text in (shown.out, shown.err))
    spoken = [(line["level"], line["rank"], line["message"]) for line in out + err if "rank" in line]
    assert ("info", 1, "speaks") in spoken
    assert ("warning", 1, "complains") in spoken
    assert any(line["logger"] == "deepsynth_train.launcher" for line in out)


@pytest.mark.parametrize("number", range(20))
def test_the_status_names_the_rank_that_was_killed(tmp_path: Path, number: int) -> None:
    culprit = number % 2
    code, report = launch(tmp_path, f"kill-{culprit}")
    assert code == 137
    assert report.failure is not None
    assert (report.failure.rank, report.failure.local_rank, report.failure.node) == (culprit, culprit, "node-a")
    assert (report.failure.reason, report.failure.step) == ("WorkerKilled", 2)


@pytest.mark.parametrize(
    ("what", "code", "reason"),
    [
        ("data", ExitCode.BAD_DATA, "BadData"),
        ("bug", ExitCode.TRY_AGAIN, "UnexpectedError"),
        ("exit", 3, "WorkerFailed"),
        ("lost", ExitCode.TRY_AGAIN, "PeerLost"),
        ("abort", 134, "WorkerCrashed"),
    ],
)
def test_the_launcher_exits_with_the_code_of_the_worker_that_failed_first(
    tmp_path: Path, what: str, code: int, reason: str
) -> None:
    actual, report = launch(tmp_path, f"{what}-1")
    assert report.failure is not None
    assert (actual, report.failure.reason, report.failure.exit_code) == (code, reason, code)
    assert ("ZeroDivisionError: a bug" in (report.failure.exception or "")) == (what == "bug")


def test_a_node_whose_workers_only_lost_their_peers_exits_69(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other node: a launcher in a process of its own, whose worker is killed. They meet at node 0, this one."""
    monkeypatch.setenv("DEEPSYNTH_MASTER_ADDRESS", f"127.0.0.1:{find_free_port()}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    (tmp_path / "node-1").mkdir()
    command = [sys.executable, __file__, str(tmp_path / "node-1"), "kill-1", str(tmp_path / "ring")]
    with subprocess.Popen(command, env={**os.environ, "JOB_COMPLETION_INDEX": "1"}) as other:
        code, report = launch(tmp_path, "kill-1", ring=tmp_path / "ring", num_nodes=2, num_proc_per_node=1)
        assert other.wait(600) == 137
    assert code == ExitCode.PEER_LOST
    assert report.failure is not None
    assert (report.failure.reason, report.failure.rank) == ("PeerLost", 0)


def test_workers_that_hang_are_killed_with_their_stacks_and_the_culprit_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, report = launch(tmp_path, "hang-1", hang_timeout=10)
    assert code == ExitCode.HUNG
    assert report.failure is not None
    assert (report.failure.reason, report.failure.rank, report.failure.step) == ("Hung", 1, 2)
    assert "light_worker.py" in (report.failure.exception or "")
    assert "local rank 1:   File" in capfd.readouterr().out
    stacks = sorted(path.name for path in (tmp_path / "checkpoints/reports").glob("*.txt"))
    assert stacks == ["attempt-1-node-0-local-rank-0-stacks.txt", "attempt-1-node-0-local-rank-1-stacks.txt"]


def test_a_stopped_worker_is_the_culprit_although_it_writes_no_stack(tmp_path: Path) -> None:
    code, report = launch(tmp_path, "stop-1", hang_timeout=3, stacks_wait=2)
    assert code == ExitCode.HUNG
    assert report.failure is not None
    assert (report.failure.rank, report.failure.local_rank, report.failure.step) == (1, 1, 2)
    assert "its process is stopped by a signal (SIGSTOP)" in report.failure.message


def test_a_node_that_waits_for_a_stopped_worker_of_another_node_does_not_blame_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other node's launcher has a longer limit, so that this node is the first to see the hang."""
    monkeypatch.setenv("DEEPSYNTH_MASTER_ADDRESS", f"127.0.0.1:{find_free_port()}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    (tmp_path / "node-1").mkdir()
    command = [sys.executable, __file__, str(tmp_path / "node-1"), "stop-1", str(tmp_path / "ring")]
    with subprocess.Popen(command, env={**os.environ, "JOB_COMPLETION_INDEX": "1"}) as other:
        code, report = launch(
            tmp_path, "stop-1", ring=tmp_path / "ring", hang_timeout=3, num_nodes=2, num_proc_per_node=1
        )
        assert other.wait(600) == ExitCode.HUNG
    assert code == ExitCode.PEER_LOST, "its worker lost the one that the other node's launcher killed"
    assert report.failure is not None
    assert report.failure.reason == "PeerLost"
    theirs = parse_report((tmp_path / "node-1/termination.json").read_text())
    assert theirs is not None
    assert theirs.failure is not None
    assert (theirs.failure.rank, theirs.failure.reason) == (1, "Hung")


def test_sigterm_makes_all_workers_save_the_same_step_and_stop(tmp_path: Path) -> None:
    code, report = launch(tmp_path, "term-1")
    assert code == ExitCode.STOPPED
    assert report.failure is not None
    assert report.train is not None
    assert report.failure.message == f"saved step {report.train.step}"


def test_the_next_attempt_reports_why_the_previous_one_failed(tmp_path: Path) -> None:
    launch(tmp_path, "data-0")
    code, report = launch(tmp_path, "finish", attempt=2)
    assert code == 0
    assert report.previous is not None
    assert (report.previous.reason, report.previous.message) == ("BadData", "spec.datasets[0]: is empty")


def test_the_report_is_served_while_the_workers_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{find_free_port()}"
    monkeypatch.setenv("DEEPSYNTH_REPORT_ADDRESS", address)
    seen: list[dict[str, Any]] = []
    is_over = threading.Event()

    def ask() -> None:
        while not seen and not is_over.is_set():
            time.sleep(0.02)
            try:
                with urllib.request.urlopen(f"http://{address}/report", timeout=60) as answer:
                    report = json.load(answer)
            except OSError:
                continue
            if report["train"]["step"] > 0 and not is_over.is_set():
                seen.append(report)
                os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask, daemon=True).start()
    try:
        code, _ = launch(tmp_path, "long")
    finally:
        is_over.set()
    assert code == ExitCode.STOPPED
    assert seen[0]["train"]["totalSteps"] == light_worker.STEPS


def test_an_invalid_document_is_refused_without_a_traceback(tmp_path: Path) -> None:
    document = tmp_path / "document.json"
    workload = json.loads(build_train_workload(tmp_path).to_json())
    document.write_text(json.dumps({**workload, "surprise": 1}))
    result = subprocess.run(
        [sys.executable, "-m", "deepsynth_train", "--document", str(document)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == ExitCode.BAD_CONFIGURATION
    assert result.stdout.startswith("launcher: surprise: unknown field; use an image")
    assert result.stderr == ""
    report = parse_report((tmp_path / "termination.json").read_text())
    assert report is not None
    assert report.failure is not None
    assert report.failure.exit_code == ExitCode.BAD_CONFIGURATION


if __name__ == "__main__":  # the other node of two
    os.environ["DEEPSYNTH_TERMINATION_LOG"] = f"{sys.argv[1]}/termination.json"
    node, mode_of_node = Path(sys.argv[1]), sys.argv[2]
    hang_limits = {"hang_timeout": 6.0, "stacks_wait": 2.0} if mode_of_node.startswith("stop") else {}
    sys.exit(launch(node, mode_of_node, ring=Path(sys.argv[3]), num_nodes=2, num_proc_per_node=1, **hang_limits)[0])
