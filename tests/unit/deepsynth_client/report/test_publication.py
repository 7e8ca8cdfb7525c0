"""Files that another publication has left in the folder of a dataset, or replaced, are not taken for this one's."""

import hashlib
import json
from pathlib import Path

import pytest

from deepsynth_client.report.publication import explain_foreign_files


def publish(folder: Path, dropped: bytes | None, **manifest: str) -> str:
    """sha256 of the manifest. dropped: content of the list, which stays if it is None."""
    folder = folder / "deepsynth"
    folder.mkdir(exist_ok=True)
    listed = {}
    if dropped is not None:
        (folder / "dropped.parquet").write_bytes(dropped)
        listed = {"droppedSha256": hashlib.sha256(dropped).hexdigest()}
    content = json.dumps({**listed, **manifest}).encode()
    (folder / "manifest.json").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_a_folder_that_is_as_published_has_none(tmp_path: Path) -> None:
    assert explain_foreign_files(tmp_path, "0" * 64) == "", "a copy of a few pages has no manifest"
    assert explain_foreign_files(tmp_path, publish(tmp_path, b"list")) == ""


def test_a_later_publication_of_another_resource_is_named(tmp_path: Path) -> None:
    first = publish(tmp_path, b"list")
    second = publish(tmp_path, b"another")
    assert "is of another publication by now" in explain_foreign_files(tmp_path, first)
    assert explain_foreign_files(tmp_path, second) == ""


def test_a_list_that_an_earlier_version_left_when_it_published_again_is_named(tmp_path: Path) -> None:
    publish(tmp_path, b"list")
    second = publish(tmp_path, None, plan="by a version that does not know the list")
    assert "deepsynth/dropped.parquet is of another publication" in explain_foreign_files(tmp_path, second)


def test_a_missing_or_unreadable_list_is_named(tmp_path: Path) -> None:
    sha256 = publish(tmp_path, b"list")
    (tmp_path / "deepsynth/dropped.parquet").unlink()
    assert "is missing" in explain_foreign_files(tmp_path, sha256)
    with (tmp_path / "deepsynth/dropped.parquet").open("wb") as file:
        file.truncate(2**40)
    assert "cannot be read" in explain_foreign_files(tmp_path, sha256)


@pytest.mark.parametrize("content", [b"[]", b"no JSON", b"\xff", b"[" * 100_000])
def test_a_damaged_manifest_is_no_error(tmp_path: Path, content: bytes) -> None:
    publish(tmp_path, b"list")
    (tmp_path / "deepsynth/manifest.json").write_bytes(content)
    assert explain_foreign_files(tmp_path, hashlib.sha256(content).hexdigest())
