import time
from collections.abc import Callable, Iterator

import pytest
from huggingface_hub import constants

from deepsynth_store.core import calls
from support.store.hub_server.server import HubServer
from support.store.object_servers.azurite_server import ACCOUNT, KEY, make_container, start_azurite
from support.store.object_servers.fault_proxy import FaultProxy
from support.store.object_servers.gcs_server import build_service_account_key, make_gcs_bucket, start_gcs
from support.store.object_servers.hub_buckets import OWNER, HubBuckets
from support.store.object_servers.moto_server import make_bucket, start_moto
from support.store.object_servers.versity_server import ACCESS_KEY, SECRET_KEY, make_versity_bucket, start_versity


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; they are not slept, apart from a millisecond each."""
    asked: list[float] = []
    sleep: Callable[[float], None] = time.sleep

    def sleep_shortly(seconds: float) -> None:
        asked.append(seconds)
        sleep(min(seconds, 0.001))

    monkeypatch.setattr(time, "sleep", sleep_shortly)
    return asked


@pytest.fixture
def minute_off(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Callable[[FaultProxy], None]:
    """Switches a server off until its clients, which are as new processes, have waited for a minute."""
    sleep_shortly = time.sleep

    def switch_off(proxy: FaultProxy) -> None:
        proxy.stop()
        monkeypatch.setattr(calls, "_answered", set())
        earlier = len(pauses)

        def sleep(seconds: float) -> None:
            sleep_shortly(seconds)
            if proxy.is_down and sum(pauses[earlier:]) >= 60:
                proxy.start()

        monkeypatch.setattr(time, "sleep", sleep)

    return switch_off


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[HubServer]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # asks the public Hub which programs to report
    with HubServer(page_entries=3) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", server.token)
        yield server


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[FaultProxy]:
    """An S3 behind a proxy that fails when asked to."""
    with FaultProxy(start_moto()) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse")
        yield proxy


@pytest.fixture
def hf(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[FaultProxy]:
    """The Hub's buckets, where another S3 has variables too."""
    with HubBuckets(start_moto()) as proxy:
        for name, value in {
            "HF_S3_ENDPOINT": proxy.url,
            "HF_S3_ACCESS_KEY_ID": "HFAKEXAMPLE",
            "HF_S3_SECRET_ACCESS_KEY": "correct-horse",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
            "AWS_ACCESS_KEY_ID": "AKIAOTHER",
            "AWS_SECRET_ACCESS_KEY": "other",
            "AWS_SESSION_TOKEN": "other",
            "AWS_REGION": "eu-central-1",
            "AWS_SKIP_SIGNATURE": "true",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        }.items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture
def versity(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[FaultProxy]:
    """Another S3 behind such a proxy. The first test that uses it may build the server: mark it slow."""
    with FaultProxy(start_versity()) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        yield proxy


@pytest.fixture
def az(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[FaultProxy]:
    """An Azure Blob Storage behind such a proxy. The first test that uses it may download the server: mark it slow."""
    with FaultProxy(start_azurite()) as proxy:
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", f"{proxy.url}/{ACCOUNT}")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
        yield proxy


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[FaultProxy]:
    """A Google Cloud Storage behind such a proxy. The first test that uses it may build the server: mark it slow."""
    with FaultProxy(start_gcs()) as proxy:
        monkeypatch.setenv("GOOGLE_BASE_URL", proxy.url)
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", build_service_account_key())
        yield proxy


@pytest.fixture
def gs_uri(gs: FaultProxy) -> Iterator[str]:
    with make_gcs_bucket() as bucket:
        yield f"gs://{bucket}/sets/pages"


@pytest.fixture
def az_uri(az: FaultProxy) -> Iterator[str]:
    with make_container() as container:
        yield f"az://{container}/sets/pages"


@pytest.fixture
def s3_uri(s3: FaultProxy) -> Iterator[str]:
    with make_bucket() as bucket:
        yield f"s3://{bucket}/sets/pages"


@pytest.fixture
def hf_uri(hf: FaultProxy) -> Iterator[str]:
    with make_bucket() as bucket:
        yield f"hf://buckets/{OWNER}/{bucket}/sets/pages"


@pytest.fixture
def versity_uri(versity: FaultProxy) -> Iterator[str]:
    with make_versity_bucket() as bucket:
        yield f"s3://{bucket}/sets/pages"
