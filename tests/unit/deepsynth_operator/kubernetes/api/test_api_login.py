"""Credentials: from a kubeconfig, with or without a proxy, and never printed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.kubernetes.api.api_login import Login, load_configuration, read_login
from deepsynth_operator.kubernetes.watches.kopf_watches import build_connection

SERVER = "https://api.example:6443"


@pytest.fixture(autouse=True)
def outside_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "KUBERNETES_SERVICE_HOST",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


def write_kubeconfig(folder: Path, monkeypatch: pytest.MonkeyPatch, **cluster: Any) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **cluster}}],
        "users": [{"name": "u", "user": {"token": "s3cret"}}],
    }
    (folder / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "config"))


def log_in() -> Login:
    async def main() -> Login:
        return await read_login(await load_configuration())

    return asyncio.run(main())


def test_a_kubeconfig_is_used_outside_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(tmp_path, monkeypatch, **{"insecure-skip-tls-verify": True})
    login = log_in()
    assert (login.server, login.scheme, login.token) == (SERVER, "Bearer", "s3cret")
    assert (login.insecure, login.proxy_url) == (True, None)
    assert "s3cret" not in repr(login)


def test_kopf_gets_the_same_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(tmp_path, monkeypatch)
    login = log_in()

    class Api:
        async def get_login(self) -> Login:
            return login

    api: Any = Api()
    connection = asyncio.run(build_connection(api))
    assert (connection.server, connection.as_http_headers()) == (SERVER, {"Authorization": "Bearer s3cret"})


def test_without_a_pod_or_a_kubeconfig_the_error_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="set KUBECONFIG"):
        log_in()


def test_a_proxy_is_used_unless_no_proxy_names_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(tmp_path, monkeypatch)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    assert log_in().proxy_url == "http://127.0.0.1:3128"
    monkeypatch.setenv("no_proxy", ".example")
    assert log_in().proxy_url is None
