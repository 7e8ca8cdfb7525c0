import time
from collections.abc import Callable, Iterator

import pytest
from huggingface_hub import constants

from support.store.hub_server.server import HubServer


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
