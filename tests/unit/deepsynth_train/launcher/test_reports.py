import json
from pathlib import Path

import pytest

from deepsynth_api.report import Failure, TrainReport, parse_report
from deepsynth_api.report_fit import TERMINATION_MESSAGE_BYTES
from deepsynth_train.checkpoint.files import FolderFiles
from deepsynth_train.coordination.run_folder import RunFolder
from deepsynth_train.launcher.reports import Reporter, write_termination_message
from support.training.train_workloads import build_train_workload

FAILURE = Failure(reason="Bug", message="it broke", exit_code=75, rank=1, exception="x" * 9000)
PEER_LOST = Failure(reason="PeerLost", message="lost", exit_code=69, rank=2)


@pytest.fixture(autouse=True)
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "termination.json"
    monkeypatch.setenv("DEEPSYNTH_TERMINATION_LOG", str(path))
    return path


def build_reporter(tmp_path: Path, attempt: int = 1, node_rank: int = 0, uid: str = "uid-1") -> Reporter:
    workload = build_train_workload(tmp_path, attempt=attempt, uid=uid)
    return Reporter(workload, RunFolder(tmp_path), node_rank, FolderFiles(tmp_path / "checkpoints"))


def test_before_the_workers_report_anything_the_report_shows_the_start(tmp_path: Path) -> None:
    report = build_reporter(tmp_path, attempt=3).build()
    assert report.train == TrainReport(attempt=3)


def test_the_termination_message_fits_and_has_a_copy_next_to_the_checkpoints(
    tmp_path: Path, termination_log: Path
) -> None:
    build_reporter(tmp_path).finish(FAILURE, {0: "stack"})
    text = termination_log.read_text()
    assert len(text.encode()) <= TERMINATION_MESSAGE_BYTES
    report = parse_report(text)
    assert report is not None
    assert report.failure is not None
    assert report.failure.reason == "Bug"
    reports = tmp_path / "checkpoints/reports"
    assert (reports / "attempt-1-node-0.json").read_text() == text
    assert (reports / "attempt-1-node-0-local-rank-0-stacks.txt").read_text() == "stack"


def test_the_next_attempt_reports_the_root_cause_of_the_previous_one_not_a_consequence(tmp_path: Path) -> None:
    build_reporter(tmp_path, node_rank=0).finish(PEER_LOST, {})
    build_reporter(tmp_path, node_rank=1).finish(FAILURE, {})
    previous = build_reporter(tmp_path, attempt=2).build().previous
    assert previous is not None
    assert previous.reason == "Bug"
    assert build_reporter(tmp_path, attempt=3).build().previous is None


def test_nothing_is_written_to_the_folder_of_another_run(tmp_path: Path, termination_log: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/owner.json").write_text(json.dumps({"run_uid": "uid-9"}))
    build_reporter(tmp_path).finish(FAILURE, {})
    assert termination_log.exists()
    assert not (tmp_path / "checkpoints/reports").exists()


def test_a_folder_whose_owner_cannot_be_read_gets_nothing_and_the_log_says_why(
    tmp_path: Path, termination_log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "deepsynth_train")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/owner.json").write_text("{")
    build_reporter(tmp_path).finish(FAILURE, {})
    assert termination_log.exists()
    assert not (tmp_path / "checkpoints/reports").exists()
    assert "owner.json cannot be parsed" in caplog.text


def test_a_copy_that_cannot_be_written_is_logged_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "deepsynth_train")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/reports").write_text("a file in the way")
    build_reporter(tmp_path).finish(FAILURE, {})
    assert "cannot copy the report next to the checkpoints" in caplog.text


def test_a_termination_message_that_cannot_be_written_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "deepsynth_train")
    monkeypatch.setenv("DEEPSYNTH_TERMINATION_LOG", str(tmp_path))
    write_termination_message("{}")
    assert "cannot write the termination message" in caplog.text
