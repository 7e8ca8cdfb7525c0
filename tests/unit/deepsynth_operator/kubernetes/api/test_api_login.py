"""Credentials: from a kubeconfig, with or without a proxy, and never printed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio.client.configuration import Configuration

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.kubernetes.api.api_login import load_configuration

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


def log_in() -> Configuration:
    return asyncio.run(load_configuration())


def test_a_kubeconfig_is_used_outside_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(tmp_path, monkeypatch, **{"insecure-skip-tls-verify": True})
    login = log_in()
    header = asyncio.run(login.get_api_key_with_prefix("BearerToken"))
    assert (login.host, header) == (SERVER, "Bearer s3cret")
    assert (login.verify_ssl, login.proxy) == (False, None)
    assert "s3cret" not in repr(login)


def test_without_a_pod_or_a_kubeconfig_the_error_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="set KUBECONFIG"):
        log_in()


def test_a_proxy_is_used_unless_no_proxy_names_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(tmp_path, monkeypatch)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    assert log_in().proxy == "http://127.0.0.1:3128"
    monkeypatch.setenv("no_proxy", ".example")
    assert log_in().proxy is None
