import errno
import os
from pathlib import Path

import pytest

from deepsynth_api.errors import TemporaryError
from deepsynth_store.core.atomic import compute_sha256, write_file_atomically


@pytest.mark.parametrize("as_file", [False, True])
def test_a_written_file_holds_the_content_and_leaves_nothing_else(tmp_path: Path, as_file: bool) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    target = tmp_path / "new" / "folder" / "file"
    write_file_atomically(target, source if as_file else b"content")
    assert target.read_bytes() == b"content"
    assert list(target.parent.iterdir()) == [target]


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(TemporaryError, match=rf"no space left for {target} \([\d,]+ bytes free\); enlarge") as caught:
        write_file_atomically(target, b"new")
    assert caught.value.reason == "DiskFull"
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_other_errors_of_the_disk_are_raised_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_file_atomically(tmp_path / "file", b"new")


def test_the_content_is_flushed_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append(f"fsync {is_folder(descriptor)}"))

    def rename(*names: Path) -> None:
        events.append("rename")
        replace(*names)

    monkeypatch.setattr(os, "replace", rename)
    write_file_atomically(tmp_path / "file", b"new")
    assert events == ["fsync file", "rename", "fsync folder"]


def is_folder(descriptor: int) -> str:
    return "folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file"


def test_the_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert compute_sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
