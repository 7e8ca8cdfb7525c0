import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.report import TERMINATION_MESSAGE_BYTES, Failure, Report, TrainReport, parse_report
from deepsynth_train.launcher.report_server import start_report_server
from deepsynth_train.launcher.reports import Reporter, write_termination_message
from deepsynth_train.launcher.topology import build_topology
from deepsynth_train.run_folder import RunFolder
from support.train_workloads import build_train_workload

FAILURE = Failure(reason="Bug", message="it broke", exit_code=75, rank=1, exception="x" * 9000)
PEER_LOST = Failure(reason="PeerLost", message="lost", exit_code=69, rank=2)


@pytest.fixture(autouse=True)
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "termination.json"
    monkeypatch.setenv("DEEPSYNTH_TERMINATION_LOG", str(path))
    return path


def build_reporter(tmp_path: Path, attempt: int = 1, node_rank: int = 0, uid: str = "uid-1") -> Reporter:
    workload = build_train_workload(tmp_path, attempt=attempt, uid=uid)
    return Reporter(workload, RunFolder(tmp_path), node_rank, tmp_path / "checkpoints")


def test_before_the_workers_say_anything_the_report_is_of_a_start(tmp_path: Path) -> None:
    report = build_reporter(tmp_path, attempt=3).build()
    assert report.train == TrainReport(attempt=3)


def test_the_termination_message_fits_and_has_a_copy_beside_the_checkpoints(
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


def test_the_next_attempt_tells_the_root_cause_of_the_one_before_not_its_echo(tmp_path: Path) -> None:
    build_reporter(tmp_path, node_rank=0).finish(PEER_LOST, {})
    build_reporter(tmp_path, node_rank=1).finish(FAILURE, {})
    previous = build_reporter(tmp_path, attempt=2).build().previous
    assert previous is not None
    assert previous.reason == "Bug"
    assert build_reporter(tmp_path, attempt=3).build().previous is None


def test_nothing_is_left_in_the_folder_of_another_run(tmp_path: Path, termination_log: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/owner.json").write_text(json.dumps({"run_uid": "uid-9"}))
    build_reporter(tmp_path).finish(FAILURE, {})
    assert termination_log.exists()
    assert not (tmp_path / "checkpoints/reports").exists()


def test_a_copy_that_cannot_be_written_is_said_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/reports").write_text("a file in the way")
    build_reporter(tmp_path).finish(FAILURE, {})
    assert "no copy of the report beside the checkpoints" in capsys.readouterr().out


def test_a_termination_message_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEEPSYNTH_TERMINATION_LOG", str(tmp_path))
    write_termination_message("{}")
    assert "no termination message" in capsys.readouterr().out


def test_report_metrics_and_health_are_served(tmp_path: Path) -> None:
    train = TrainReport(attempt=2, step=5, loss=1.5)
    report = build_reporter(tmp_path).build().model_copy(update={"train": train})
    server = start_report_server("127.0.0.1:0", lambda: report)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    assert Report.model_validate_json(read(f"{address}/report")).train == train
    metrics = read(f"{address}/metrics")
    assert "deepsynth_train_step 5.0" in metrics
    assert "deepsynth_train_loss 1.5" in metrics
    assert "grad_norm" not in metrics
    assert read(f"{address}/healthz") == "ok\n"
    with pytest.raises(urllib.error.HTTPError, match="404") as error:
        read(f"{address}/else")
    error.value.close()
    server.shutdown()
    server.server_close()


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - loopback
        text: str = answer.read().decode()
        return text


def test_one_node_meets_itself_at_any_free_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPSYNTH_MASTER_ADDRESS", raising=False)
    topology = build_topology(build_train_workload(tmp_path))
    assert (topology.master_host, topology.master_port, topology.node_rank) == ("localhost", 0, 0)


def test_several_nodes_meet_at_the_address_of_node_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_MASTER_ADDRESS", "run-0.run:29400")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    topology = build_topology(build_train_workload(tmp_path, num_nodes=4))
    assert (topology.master_host, topology.master_port, topology.node_rank) == ("run-0.run", 29400, 3)


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:port"])
def test_several_nodes_without_an_address_are_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DEEPSYNTH_MASTER_ADDRESS", address)
    with pytest.raises(ConfigurationError, match="DEEPSYNTH_MASTER_ADDRESS must be HOST:PORT"):
        build_topology(build_train_workload(tmp_path, num_nodes=2))
