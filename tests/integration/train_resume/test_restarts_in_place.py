"""Workers that fail start again in the same pod: the launcher with its elastic agent, and workers without torch."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.report import Report, parse_report
from deepsynth_train.coordination.run_folder import RunFolder
from deepsynth_train.launcher.hangs import build_limits
from deepsynth_train.launcher.launch import Launch
from integration.train_resume import light_worker
from support.free_port import find_free_port
from support.training.train_workloads import build_train_workload


@pytest.fixture(autouse=True)
def _allow_restarts(monkeypatch: pytest.MonkeyPatch, kept_process: None) -> None:
    monkeypatch.setenv("DEEPSYNTH_MAX_RESTARTS", "5")


def launch(tmp_path: Path, mode: str, *, meeting: Path | None = None, **changes: Any) -> tuple[int, Report]:
    """Exit code and final report. meeting: folder in which the workers of several nodes meet."""
    workload = build_train_workload(tmp_path, **changes)
    document = tmp_path / "document.json"
    document.write_text(workload.to_json())
    worker = [sys.executable, light_worker.__file__, mode, str(document)]

    def command(folder: RunFolder) -> list[str]:
        ring = meeting / folder.path.name if meeting else folder.path / "ring"
        return [*worker, str(folder.path), str(ring)]

    code = Launch(workload, command, build_limits(600), culprit_wait=0.1, stacks_wait=600).run()
    report = parse_report((tmp_path / "termination.json").read_text())
    assert report is not None
    return code, report


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("what", "reason", "code"),
    [("kill", "WorkerKilled", 137), ("bug", "UnexpectedError", 75), ("exit", "WorkerFailed", 3)],
)
def test_a_worker_that_fails_once_starts_again_and_the_run_finishes(
    tmp_path: Path, what: str, reason: str, code: int, rank: int
) -> None:
    ended, report = launch(tmp_path, f"{what}-{rank}-1")
    assert (ended, report.failure) == (0, None)
    assert [(item.failure.reason, item.failure.rank, item.failure.exit_code) for item in report.restarts] == [
        (reason, rank, code)
    ]
    assert report.restarts[0].failure.node == "node-a"
    assert report.restarts[0].step == 2
    assert report.train is not None
    assert (report.train.attempt, report.train.phase, report.train.step) == (2, "done", 3)


@pytest.mark.parametrize(("what", "code"), [("data", ExitCode.BAD_DATA), ("lost", ExitCode.TRY_AGAIN)])
def test_what_would_fail_again_or_has_no_known_cause_does_not_start_again(tmp_path: Path, what: str, code: int) -> None:
    ended, report = launch(tmp_path, f"{what}-1-1")
    assert (ended, report.restarts) == (code, [])
    assert report.failure is not None


def test_a_run_that_is_asked_to_stop_after_a_restart_saves_and_stops(tmp_path: Path) -> None:
    """Rank 0 fails at step 3 of the first start; in the second one rank 1 asks the launcher to stop."""
    code, report = launch(tmp_path, "bugterm-0")
    assert code == ExitCode.STOPPED
    assert len(report.restarts) == 1


def test_two_nodes_agree_to_start_their_workers_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other node: a launcher in a process of its own, whose worker is killed. They meet at node 0, this one."""
    code, report, other = launch_two_nodes(tmp_path, monkeypatch, "kill-1-1")
    assert (code, report.failure) == (0, None)
    assert (other.returncode, [item.failure.rank for item in report.restarts]) == (0, [1])
    theirs = parse_report((tmp_path / "node-1/termination.json").read_text())
    assert theirs is not None
    assert theirs.restarts == report.restarts


def test_two_nodes_agree_that_they_must_not_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, report, other = launch_two_nodes(tmp_path, monkeypatch, "data-1-1")
    assert (code, other.returncode, report.restarts) == (ExitCode.PEER_LOST, ExitCode.BAD_DATA, [])


def launch_two_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> tuple[int, Report, "subprocess.Popen[bytes]"]:
    monkeypatch.setenv("DEEPSYNTH_MASTER_ADDRESS", f"127.0.0.1:{find_free_port()}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    folder = tmp_path / "node-1"
    folder.mkdir()
    own = {"JOB_COMPLETION_INDEX": "1", "DEEPSYNTH_TERMINATION_LOG": str(folder / "termination.json")}
    command = [sys.executable, __file__, str(folder), mode, str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, **own}) as other:
        code, report = launch(tmp_path, mode, meeting=tmp_path, num_nodes=2, num_proc_per_node=1)
        other.wait(600)
    return code, report, other


if __name__ == "__main__":
    folder, mode, meeting = sys.argv[1:]
    sys.exit(launch(Path(folder), mode, meeting=Path(meeting), num_nodes=2, num_proc_per_node=1)[0])
