"""Servers whose certificates a private authority has signed: SSL_CERT_FILE is enough for every client."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hf_xet  # type: ignore[import-untyped]
import pytest
from huggingface_hub import close_session

from deepsynth_api.errors import TemporaryError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store import open_dataset
from support.private_authority import PrivateAuthority

NOT_FOUND, OK = 404, 200
SERVERS = {
    "s3://bucket/pages": {"AWS_ENDPOINT_URL": "{}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
    "gs://bucket/pages": {"GOOGLE_BASE_URL": "{}", "GOOGLE_SKIP_SIGNATURE": "true"},
    "az://pages/of": {
        "AZURE_STORAGE_ENDPOINT": "{}",
        "AZURE_STORAGE_ACCOUNT_NAME": "a",
        "AZURE_STORAGE_ACCOUNT_KEY": "YWJj",
    },
    "hf://datasets/someone/pages": {"HF_ENDPOINT": "{}"},
}
"""A place, and the environment with its server."""
DELIVER = """
import asyncio, sys
from datetime import UTC, datetime
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.process.webhook import Webhook

async def deliver():
    delivered = asyncio.Event()
    webhook = Webhook(sys.argv[1], "", lambda key: delivered.set())
    event = {"id": "1", "time": datetime.now(UTC).isoformat()}
    webhook.deliver(ResourceKey("TrainingRun", "team-a", "read-xsum"), event)
    await asyncio.wait_for(delivered.wait(), 60)
    await webhook.close()

asyncio.run(deliver())
"""


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateAuthority]:
    """Nothing trusts it yet."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    close_session()  # of the Hub, which has loaded what it trusts
    yield PrivateAuthority(tmp_path)
    close_session()


@pytest.mark.parametrize("uri", SERVERS)
def test_a_store_is_trusted_with_ssl_cert_file_and_else_the_error_names_it(
    uri: str, authority: PrivateAuthority, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    with authority.serve(NOT_FOUND) as address:
        for name, value in SERVERS[uri].items():
            monkeypatch.setenv(name, value.format(address))
        with pytest.raises(TemporaryError, match=r"certificate is not trusted .* set SSL_CERT_FILE") as untrusted:
            open_dataset(uri).list_files()
        assert untrusted.value.reason in {Reason.STORE_UNREACHABLE, Reason.HUB_UNREACHABLE}
        assert sum(pauses) < 10
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        close_session()
        with pytest.raises(WorkloadError) as answered:
            open_dataset(uri).list_files()
        assert "trusted" not in answered.value.message
        assert not isinstance(answered.value, TemporaryError)


@pytest.mark.filterwarnings("ignore:hf_xet.download_files:DeprecationWarning")
def test_the_xet_library_of_the_hub_trusts_ssl_cert_file(
    authority: PrivateAuthority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    file = hf_xet.PyXetDownloadInfo(destination_path=str(tmp_path / "file"), hash="a" * 64, file_size=1)
    with authority.serve(NOT_FOUND) as address, pytest.raises(ConnectionError, match="404"):
        hf_xet.download_files(
            [file], endpoint=address, token_info=("t", 2**33), token_refresher=None, progress_updater=None
        )


def test_the_webhook_trusts_ssl_cert_file(authority: PrivateAuthority) -> None:
    """In a process of its own: its library loads what it trusts when it is imported."""
    with authority.serve(OK) as address:
        trusting = {**os.environ, "SSL_CERT_FILE": str(authority.certificate)}
        done = subprocess.run([sys.executable, "-c", DELIVER, address], env=trusting, timeout=120, check=False)
    assert done.returncode == 0
