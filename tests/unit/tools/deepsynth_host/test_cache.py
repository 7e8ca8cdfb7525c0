"""The cache that the tools share."""

from pathlib import Path
from threading import Thread

import pytest

from deepsynth_host.cache import cache_folder, locked, require_free_space
from deepsynth_host.errors import ToolError


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path))
    assert cache_folder("a", "b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()


def test_without_a_setting_the_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPSYNTH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("images") == tmp_path / "deepsynth" / "images"


def test_a_disk_that_is_too_small_is_an_error_with_the_figures(tmp_path: Path) -> None:
    require_free_space(tmp_path, 0.0, "nothing")
    with pytest.raises(ToolError, match=r"building a world needs 1000000000\.0 GiB in .*, [0-9.]+ GiB are free"):
        require_free_space(tmp_path, 1e9, "building a world")


def test_a_second_holder_of_a_lock_waits_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order, printed = [], ""

    def hold_second() -> None:
        with locked(tmp_path / "lock"):
            order.append("second")

    thread = Thread(target=hold_second)
    with locked(tmp_path / "lock"):
        thread.start()
        while thread.is_alive() and f"waiting for another process that holds {tmp_path / 'lock'}" not in printed:
            thread.join(0.01)
            printed += capsys.readouterr().out
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
