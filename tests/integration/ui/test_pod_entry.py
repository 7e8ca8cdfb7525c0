"""`python -m deepsynth_ui`, as the dashboard's pod runs it."""

from pathlib import Path
from typing import Any

import pytest
import uvicorn

from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Selection
from deepsynth_local.local_resources import LocalResources
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_ui import server
from deepsynth_ui.__main__ import main, parse_address
from deepsynth_ui.guard import LOOPBACK


@pytest.mark.parametrize(
    ("text", "address"),
    [(":8475", ("", 8475)), ("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:8475", ("::1", 8475))],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "8475", "host", ":x", ":99999"])
def test_another_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="DEEPSYNTH_HTTP_ADDRESS must be HOST:PORT"):
        parse_address(text)


def test_without_a_cluster_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    assert main({}) == 78

    assert "no kubeconfig found" in capsys.readouterr().err


def test_the_names_of_the_environment_are_those_under_which_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    called: dict[str, Any] = {}
    monkeypatch.setattr("deepsynth_ui.__main__.log_in", lambda **_: None)
    monkeypatch.setattr("deepsynth_ui.__main__.Api", lambda _: None)
    monkeypatch.setattr("deepsynth_ui.__main__.ClusterResources", lambda _: None)
    monkeypatch.setattr("deepsynth_ui.__main__.serve", lambda *_, **options: called.update(options))

    assert main({"DEEPSYNTH_HTTP_HOSTS": "localhost,pages.example.org"}) == 0

    assert called["hosts"] == ["localhost", "pages.example.org"]


@pytest.mark.parametrize(
    ("host", "hosts", "expected"),
    [("", ["localhost"], {"localhost"}), ("", [], set()), ("127.0.0.1", [], LOOPBACK)],
)
def test_without_names_only_a_server_on_loopback_checks_them(
    host: str, hosts: list[str], expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: dict[str, Any] = {}
    monkeypatch.setattr(server, "build_app", lambda _, **options: called.update(options))
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)

    server.serve(LocalResources(RunsFolder.open(tmp_path)), Selection(), host, 0, lambda _: None, hosts=hosts)

    assert set(called["hosts"]) == expected
