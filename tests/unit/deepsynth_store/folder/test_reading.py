import os
from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError, DataError, TemporaryError
from deepsynth_store import open_dataset
from unit.deepsynth_store.stored import ONE, TWO, run


def test_a_pinned_revision_that_is_gone_is_bad_data(uri: str) -> None:
    pinned = run(uri, ONE)
    assert open_dataset(uri, pinned).revision == pinned
    run(uri, TWO)
    with pytest.raises(DataError, match=f"expected revision {pinned}"):
        open_dataset(uri, pinned)


def test_a_reader_stops_when_another_generation_is_published(uri: str) -> None:
    run(uri, ONE)
    reader = open_dataset(uri)
    run(uri, TWO)
    with pytest.raises(TemporaryError, match="changed while it was read"):
        reader.open("data/train-00000.parquet")


def test_a_folder_without_a_manifest_is_pinned_by_its_listing(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_bytes(b"{}")
    uri = f"file://{tmp_path}"
    pinned = open_dataset(uri).revision
    assert open_dataset(uri, pinned).list_files()[0].path == "data.jsonl"
    (tmp_path / "more.jsonl").write_bytes(b"{}")
    with pytest.raises(DataError, match="has changed"):
        open_dataset(uri, pinned)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_bytes(b"{}")
    os.mkfifo(tmp_path / "pipe.jsonl")  # reading it would wait for a writer
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    (tmp_path / "gone.jsonl").symlink_to("gone")
    (tmp_path / "inside.jsonl").symlink_to("data.jsonl/x")
    assert [file.path for file in open_dataset(f"file://{tmp_path}").list_files()] == ["data.jsonl"]


def test_a_file_whose_name_is_not_utf_8_is_read(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xe9t\xe9.jsonl")
    (tmp_path / name).write_bytes(b"{}")
    assert open_dataset(f"file://{tmp_path}").read(name) == b"{}"


def test_a_download_is_checked_against_the_manifest(uri: str, root: Path, tmp_path: Path) -> None:
    run(uri, ONE)
    damaged = root / "data" / "train-00001.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    copied = open_dataset(uri).download("data/train-00000.parquet", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == ONE.expected["data/train-00000.parquet"]
    assert copied.size == len(ONE.expected["data/train-00000.parquet"])
    with pytest.raises(DataError, match=r"train-00001\.parquet of pvc://data/sets/pages is damaged"):
        open_dataset(uri).download("data/train-00001.parquet", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd"])
def test_a_path_outside_the_dataset_is_refused(uri: str, path: str) -> None:
    run(uri, ONE)
    with pytest.raises(DataError, match="not a path inside"):
        open_dataset(uri).open(path)


def test_a_missing_folder_or_file_is_named(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"source\.uri: {uri} not found"):
        open_dataset(uri, field="source.uri")
    run(uri, ONE)
    with pytest.raises(DataError, match=rf"{uri} holds no file data/x\.parquet"):
        open_dataset(uri).open("data/x.parquet")
