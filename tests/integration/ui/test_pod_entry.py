"""`python -m deepsynth_ui`, as the dashboard's pod runs it."""

import pytest

from deepsynth_client.errors import InvalidError
from deepsynth_ui.__main__ import main, parse_address


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
