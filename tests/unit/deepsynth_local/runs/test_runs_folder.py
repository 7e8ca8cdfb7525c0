import os
from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_local.runs.runs_folder import RunsFolder


def test_a_runs_folder_belongs_to_one_command_at_a_time(tmp_path: Path) -> None:
    runs = RunsFolder.open(tmp_path)
    with (
        runs.lock(),
        pytest.raises(
            ConfigurationError, match=rf"is using this folder \(process {os.getpid()}\).*`kill {os.getpid()}`"
        ),
        runs.lock(),
    ):
        pass
    with runs.lock():
        pass


def test_a_runs_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="choose another folder with --runs"):
        RunsFolder.open(tmp_path / "file" / "runs")


def test_a_runs_folder_whose_lock_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()

    with pytest.raises(ConfigurationError, match="choose another folder with --runs"), RunsFolder.open(tmp_path).lock():
        pass


def test_uris_of_volumes_and_files_have_a_folder_here_and_the_hub_has_none(tmp_path: Path) -> None:
    runs = RunsFolder(tmp_path)

    assert runs.find_folder("pvc://claim/a/b") == runs.volumes / "claim/a/b"
    assert runs.find_folder("file:///data/a%20b") == Path("/data/a%20b"), "a URI is not decoded, nor is it in the pods"
    assert runs.find_folder("pvc://claim/%2e%2e/a") == runs.volumes / "claim/%2e%2e/a"
    assert runs.find_folder("hf://datasets/a/b") is None


def test_a_real_folder_has_no_link_in_its_path(tmp_path: Path) -> None:
    runs = RunsFolder.open(tmp_path / "runs")
    (tmp_path / "large-disk/a").mkdir(parents=True)
    (runs.volumes / "claim").symlink_to(tmp_path / "large-disk")
    assert runs.find_real_folder("pvc://claim/a") == tmp_path / "large-disk/a"
    assert runs.find_real_folder("pvc://claim/b") is None
    assert runs.find_real_folder("hf://datasets/a/b") is None


def test_the_option_of_a_runs_folder_is_for_commands_from_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = RunsFolder.open(tmp_path / "my runs")

    assert RunsFolder(tmp_path / "deepsynth-runs").option == ""
    assert other.option == " --runs 'my runs'"
    assert other.shorten(other.report) == "my runs/report.html"

    monkeypatch.chdir(other.path)  # as the process in the background, whose log is read from elsewhere
    assert other.shorten(other.report) == str(other.report)


def test_a_folder_that_does_not_exist_is_not_locked(tmp_path: Path) -> None:
    assert not RunsFolder(tmp_path / "runs").is_locked
    assert not (tmp_path / "runs").exists()
