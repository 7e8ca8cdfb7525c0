from pathlib import Path

import pytest


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A dataset on a volume claim."""
    monkeypatch.setenv("DEEPSYNTH_VOLUMES", str(tmp_path))
    return "pvc://data/sets/pages"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder behind `uri`."""
    return tmp_path / "data" / "sets" / "pages"
