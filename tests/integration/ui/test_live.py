"""What the server reports to an open page: that something it shows has changed, and nothing else."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from deepsynth.__main__ import main
from deepsynth_local.local_resources import LocalResources
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_ui import app
from deepsynth_ui.app import report_changes
from integration.ui.served_pages import run_board, serve_on_a_port
from integration.ui.test_folder import put_run


@pytest.fixture
def runs(tmp_path: Path) -> RunsFolder:
    return RunsFolder.open(tmp_path / "runs")


def test_a_change_of_a_run_reaches_its_open_page(runs: RunsFolder) -> None:
    put_run(runs, "first")
    put_run(runs, "other")
    with serve_on_a_port(LocalResources(runs)) as address:
        connection = HTTPConnection(address.split("/")[2], timeout=300)
        connection.request("GET", "/runs/default/first")
        since = connection.getresponse().read().decode().partition('data-version="')[2].partition('"')[0]
        connection.request("GET", f"/changes?of=runs/default/first&since={since}")
        stream = connection.getresponse()
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.readline() == b"retry: 2000\n"
        put_run(runs, "first", state="Complete")

        lines = [line for line in (stream.readline() for _ in range(3)) if line.startswith(b"data: ")]

        assert lines
        assert lines[0] != f"data: {since}\n".encode()
        connection.close()


def test_a_page_that_is_behind_hears_at_once_and_a_quiet_one_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "POLL_SECONDS", 0.001)
    versions = iter([5, 5, 6, *[6] * 1000])

    async def read(events: AsyncIterator[str], count: int) -> list[str]:
        return [event async for event, _ in _number(events, count)]

    events = asyncio.run(read(report_changes(lambda: next(versions), "4", 0.01, lambda: False), 4))

    assert events == ["retry: 2000\n\n", "data: 5\n\n", "data: 6\n\n", "data: 6\n\n"]


async def _number(events: AsyncIterator[str], count: int) -> AsyncIterator[tuple[str, int]]:
    for number in range(count):
        yield await anext(events), number


def test_only_changes_of_what_a_page_shows_count_for_it(runs: RunsFolder) -> None:
    put_run(runs, "first")
    put_run(runs, "other")
    with run_board(LocalResources(runs)) as board:
        key = next(key for key in board._found if key.name == "first")
        before = board.get_version([key]), board.get_version()

        put_run(runs, "other", state="Complete")
        while board.get_version() == before[1]:
            threading.Event().wait(0.01)
        assert board.get_version([key]) == before[0]

        ResourceStore(runs).delete("TrainingRun", "default", "first")
        while board.get_version([key]) == before[0]:
            threading.Event().wait(0.01)
        assert [item["metadata"]["name"] for item in board.list_all()] == ["other"]


def test_the_command_prints_its_address_and_ends_at_once_with_a_page_open(runs: RunsFolder) -> None:
    put_run(runs, "first")
    command = [sys.executable, "-m", "deepsynth", "ui", "--runs", str(runs.path), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        assert lines[0] == f"folder {runs.path}\n"
        address = lines[1].split()[0]
        assert address.startswith("http://127.0.0.1:")
        connection = HTTPConnection(address.split("/")[2], timeout=300)
        connection.request("GET", "/changes?since=x")
        stream = connection.getresponse()
        assert stream.readline() == b"retry: 2000\n"

        process.send_signal(signal.SIGINT)

        assert process.wait(300) == 0
        assert process.stderr.read() == ""
        connection.close()


def test_a_port_that_is_taken_is_named_with_the_remedy(runs: RunsFolder, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["ui", "--runs", str(runs.path), "--port", port]) == 64

    assert f"--port {port}: cannot listen there" in capfd.readouterr().err
