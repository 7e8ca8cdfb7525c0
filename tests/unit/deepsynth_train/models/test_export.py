"""Where a model may be published: never over a user's other files."""

from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_training import build_settings


def check(target: Path, checkpoints: Path = Path("/nowhere")) -> None:
    from deepsynth_train.models.export import check_publish_folder

    publish = {"uri": f"file://{target}"}
    check_publish_folder(build_settings(publish=publish, checkpoint={"uri": f"file://{checkpoints}"}))


def test_a_new_an_empty_and_a_published_folder_can_be_published_to(tmp_path: Path) -> None:
    check(tmp_path / "new")
    check(tmp_path)
    (tmp_path / "deepsynth.json").touch()
    (tmp_path / "model.safetensors").touch()
    check(tmp_path)


def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigurationError, match=r"spec\.publish\.uri: .* publishing deletes what is there"):
        check(tmp_path)
    with pytest.raises(ConfigurationError, match="must be new, empty"):
        check(tmp_path / "thesis.tex")


def test_the_folder_of_the_checkpoints_is_never_replaced(tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "runs"):
        with pytest.raises(ConfigurationError, match="must not contain the folder of"):
            check(target, checkpoints=tmp_path / "runs")
    check(tmp_path / "runs/published", checkpoints=tmp_path / "runs")


def test_the_root_of_a_volume_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is the root of a volume"):
        check(Path("/proc"))
