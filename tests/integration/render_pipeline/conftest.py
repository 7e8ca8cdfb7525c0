from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from integration.render_pipeline.render_steps import Steps
from support.store.hub_server.server import HubServer


@pytest.fixture
def build_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Steps]:
    """A generation from `source` (a dict, or a path) into the folder `target` of the test, or to a URI."""

    def build(source: dict[str, Any] | Path, target: str = "out", **settings: Any) -> Steps:
        folder = tmp_path / f"work-{target.rsplit('/', 1)[-1]}"
        folder.mkdir(exist_ok=True)
        uri = target if "://" in target else f"file://{tmp_path}/{target}"
        return Steps(
            folder, monkeypatch, {"uri": f"file://{source}"} if isinstance(source, Path) else source, uri, settings
        )

    return build


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # asks the public Hub which programs to report
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", server.token)
        yield server
