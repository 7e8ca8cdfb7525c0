import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import DataError
from deepsynth_api.v1alpha1 import Source
from deepsynth_render.sources import open_source
from deepsynth_render.sources.docstrings import DocstringSource


def test_a_row_group_can_be_read_again_on_its_own(tmp_path: Path) -> None:
    numbers = range(2000)
    table = pa.table({"text": [f"text {n}" for n in numbers], "summary": [f"summary {n}" for n in numbers]})
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=700)
    source = open_source(Source(uri=f"file://{tmp_path}"))
    first = [(group.file, group.number, list(group.rows)) for group in source.read("train")]
    assert [list(source.read_again(file, number or 0)) for file, number, _ in first] == [rows for *_, rows in first]


def test_a_file_whose_name_is_not_utf_8_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xe9t\xe9.jsonl")).write_bytes(b"{}")
    with pytest.raises(DataError, match=r"'\\udce9t\\udce9.jsonl' is not UTF-8; rename it"):
        open_source(Source(uri=f"file://{tmp_path}"))


def test_links_to_folders_are_noted_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "source/more").mkdir(parents=True)
    (tmp_path / "source/train.jsonl").write_bytes(b"{}\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/train.jsonl").write_bytes(b"{}\n")
    (tmp_path / "source/more/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source/circle").symlink_to(tmp_path / "source")
    source = open_source(Source(uri=f"file://{tmp_path}/source"))
    list(source.read("train"))
    [skipped] = source.skipped
    assert (skipped.reason, skipped.files, skipped.examples) == ("LinkedFolder", 2, ["circle", "more/linked"])
    (tmp_path / "source/train.jsonl").unlink()
    with pytest.raises(
        DataError, match=r"no file that is read \(2 LinkedFolder such as circle\); links to folders are not"
    ):
        open_source(Source(uri=f"file://{tmp_path}/source"))


def test_what_else_is_in_a_folder_is_noted_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(b"{}\n")
    (tmp_path / "more/.drafts").mkdir(parents=True)
    for name in (".part.jsonl", "more/.drafts/train.jsonl", ".gitattributes", ".cache"):
        (tmp_path / name).write_bytes(b"{}\n")
    (tmp_path / "more/gone.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / os.fsdecode(b"\xe9t\xe9.txt")).write_bytes(b"")
    source = open_source(Source(uri=f"file://{tmp_path}"))
    list(source.read("train"))
    assert {entry.reason: (entry.files, entry.examples) for entry in source.skipped} == {
        "Hidden": (2, [".part.jsonl", "more/.drafts"]),
        "DeadLink": (2, ["more/gone.jsonl", "self"]),
        "SpecialFile": (1, ["pipe.jsonl"]),
        "UnknownFormat": (1, ["\\udce9t\\udce9.txt"]),
    }


def test_docstrings_are_read_from_the_standard_library() -> None:
    source = open_source(Source(uri="docstrings://", splits=["validation"]))
    assert isinstance(source, DocstringSource)
    assert source.splits == ("validation",)


@pytest.mark.parametrize("name", ["train.parquet", "train.jsonl", "train.csv", "train.json.gz"])
def test_a_pointer_of_git_lfs_is_named_as_such(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n")
    source = open_source(Source(uri=f"file://{tmp_path}"))
    with pytest.raises(
        DataError, match=f"{name} of .* is a pointer of Git LFS, not the file; run `git lfs pull` there"
    ):
        next(source.read("train"))
