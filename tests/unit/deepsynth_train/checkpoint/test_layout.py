from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.checkpoint.layout import resolve_folder


def test_a_repository_on_the_hub_is_refused_as_a_place_for_checkpoints() -> None:
    with pytest.raises(ConfigurationError, match=r"spec\.checkpoint\.uri: hf://owner/name.*pvc://"):
        resolve_folder("hf://owner/name")


def test_a_volume_claim_is_a_folder_below_the_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_VOLUMES", str(tmp_path))
    assert resolve_folder("pvc://claim/a/b") == tmp_path / "claim/a/b"
    assert resolve_folder("file:///a/b") == Path("/a/b")
