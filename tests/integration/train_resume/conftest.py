"""The process of a test, in which a launcher runs."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def kept_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The launcher sets signal handlers and environment variables of its process."""
    monkeypatch.setenv("DEEPSYNTH_TERMINATION_LOG", str(tmp_path / "termination.json"))
    monkeypatch.setenv("DEEPSYNTH_NODE_NAME", "node-a")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    environment = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.environ.clear()
    os.environ.update(environment)
