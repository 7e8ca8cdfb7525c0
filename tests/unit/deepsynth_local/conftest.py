from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deepsynth_api.workload import VOLUMES_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands set the variable for their process."""
    monkeypatch.setenv(VOLUMES_VARIABLE, str(tmp_path / "volumes"))
