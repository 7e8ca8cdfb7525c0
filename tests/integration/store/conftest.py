import time
from collections.abc import Callable, Iterator

import pytest
from huggingface_hub import constants

from support.store.hub_server.server import HubServer
from support.store.object_servers.fault_proxy import FaultProxy
from support.store.object_servers.moto_server import make_bucket, start_moto


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
def s3_uri(s3: FaultProxy) -> Iterator[str]:
    with make_bucket() as bucket:
        yield f"s3://{bucket}/sets/pages"
