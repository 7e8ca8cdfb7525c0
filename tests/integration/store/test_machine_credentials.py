"""Pods without keys: credentials of the machine or of a service account, from a metadata server."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_store import Waiting, open_dataset, publish_folder
from deepsynth_store.core import calls
from support.store.object_servers.fault_proxy import FaultProxy
from support.store.object_servers.gcs_server import INSTANCE_TOKEN
from support.store.object_servers.moto_server import start_moto


@pytest.fixture(params=["s3", pytest.param("gs", marks=pytest.mark.slow)])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def uri(request: pytest.FixtureRequest, scheme: str) -> str:
    return str(request.getfixturevalue(f"{scheme}_uri"))


@pytest.fixture
def metadata(uri: str, scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultProxy]:
    """The metadata server, behind a proxy that fails when asked to. The environment has no keys."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with serve_google_metadata() as google, FaultProxy(start_moto() if scheme == "s3" else google) as proxy:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_SERVICE_ACCOUNT_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", proxy.url)
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP"):
            monkeypatch.setenv(name, urlsplit(proxy.url).netloc)
        yield proxy


@contextlib.contextmanager
def serve_google_metadata() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _GoogleMetadata)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class _GoogleMetadata(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_token = self.path.startswith("/computeMetadata/v1/instance/service-accounts/default/token")
        is_allowed = self.headers.get("Metadata-Flavor") == "Google"
        body = json.dumps({"access_token": INSTANCE_TOKEN, "expires_in": 3599, "token_type": "Bearer"}).encode()
        self.send_response(200 if is_token and is_allowed else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        pass


def publish(uri: str, folder: Path) -> str:
    (folder / "model").mkdir()
    (folder / "model/config.json").write_bytes(b"{}")
    return publish_folder(folder / "model", uri)


def test_a_pod_without_keys_has_those_of_the_metadata_server(metadata: FaultProxy, uri: str, tmp_path: Path) -> None:
    revision = publish(uri, tmp_path)
    assert open_dataset(uri, revision).read("config.json") == b"{}"
    assert metadata.requests


def test_a_metadata_server_that_starts_after_the_pod_is_waited_for(
    metadata: FaultProxy, uri: str, tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(uri, tmp_path)
    monkeypatch.setattr(calls, "_answered", set())
    metadata.fail_next("*", "cut", times=4)
    waits: list[Waiting] = []
    assert open_dataset(uri, on_wait=waits.append).read("config.json") == b"{}"
    assert waits[0].reason == "the credentials for the object store cannot be fetched"
    assert sum(pauses) < 20


def test_a_machine_without_an_identity_names_the_keys(metadata: FaultProxy, uri: str, pauses: list[float]) -> None:
    metadata.is_down = True
    with pytest.raises(ConfigurationError, match=r"no credentials; add the keys .*serviceAccountName"):
        open_dataset(uri)
    assert sum(pauses) < 20
