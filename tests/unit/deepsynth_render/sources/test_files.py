from pathlib import Path

import pytest

from deepsynth_api.errors import DataError
from deepsynth_render.sources.files import open_files


def test_a_single_file_that_changed_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/train.jsonl"
    (tmp_path / "train.jsonl").write_bytes(b"{}\n")
    revision = open_files(uri, None, None).revision
    assert open_files(uri, revision, None).revision == revision
    (tmp_path / "train.jsonl").write_bytes(b"{}\n{}\n")
    with pytest.raises(DataError, match="has changed since it was planned"):
        open_files(uri, revision, None)


def test_a_single_file_lists_and_reads_only_itself(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(b"{}\n")
    (tmp_path / "other.jsonl").write_bytes(b"[]\n")
    files = open_files(f"file://{tmp_path}/train.jsonl", None, None)
    assert [(file.path, file.size) for file in files.list_files()] == [("train.jsonl", 3)]
    assert files.read("train.jsonl") == b"{}\n"
