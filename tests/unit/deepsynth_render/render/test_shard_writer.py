import errno
import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from deepsynth_render.documents.dataset_manifest import PAGE_COLUMNS
from deepsynth_render.page import Page, PageStyle
from deepsynth_render.render import shard_writer
from deepsynth_render.render.shard_writer import Document, ShardFile, ShardWriter

STYLE = PageStyle(index=3, font_family="DejaVu Serif", font_size_px=12, columns=2, seed=7)


def build_pages(count: int, size: int = 100) -> list[Page]:
    return [
        Page(bytes([number % 256]) * size, 64, 64, f"page {number}", number * 10, number * 10 + 10, STYLE)
        for number in range(count)
    ]


def write(folder: Path, documents: list[list[Page]], max_bytes: int = 10**9) -> list[ShardFile]:
    files: list[ShardFile] = []
    with ShardWriter(lambda number: folder / f"{number}.parquet", max_bytes, files.append) as writer:
        for index, pages in enumerate(documents):
            writer.add(Document(f"train-{index}", f"summary {index}", "en", "foxes", "train", index), pages)
    return files


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    (file,) = write(tmp_path, [build_pages(2), build_pages(1)])
    rows = pq.read_table(file.path).to_pylist()
    assert list(rows[0]) == list(PAGE_COLUMNS)
    assert rows[1] == {
        "image": {"bytes": b"\x01" * 100, "path": "train-0-1.png"},
        "text": "page 1",
        "summary": "summary 0",
        "document_id": "train-0",
        "page": 1,
        "num_pages": 2,
        "language": "en",
        "source_dataset": "foxes",
        "original_split": "train",
        "original_index": 0,
        "char_start": 10,
        "char_end": 20,
        "font_family": "DejaVu Serif",
        "font_size_px": 12,
        "text_columns": 2,
        "style": 3,
        "fit": "fixed",
        "seed": 7,
    }
    assert [row["document_id"] for row in rows] == ["train-0", "train-0", "train-1"]


def test_size_rows_and_digest_match_the_file(tmp_path: Path) -> None:
    (file,) = write(tmp_path, [build_pages(3)])
    content = file.path.read_bytes()
    assert (file.size, file.rows, file.sha256) == (len(content), 3, hashlib.sha256(content).hexdigest())


def test_no_row_group_splits_a_document(tmp_path: Path) -> None:
    (file,) = write(tmp_path, [build_pages(60), build_pages(60), build_pages(250), build_pages(1)])
    metadata = pq.ParquetFile(file.path).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [120, 250, 1]


def test_a_document_that_does_not_fit_into_a_file_starts_another(tmp_path: Path) -> None:
    files = write(tmp_path, [build_pages(4, 1000) for _ in range(5)], max_bytes=9000)
    assert [file.rows for file in files] == [8, 8, 4]
    assert [file.path.name for file in files] == ["0.parquet", "1.parquet", "2.parquet"]
    documents = [set(pq.read_table(file.path)["document_id"].to_pylist()) for file in files]
    assert sum(map(len, documents)) == len(set.union(*documents)) == 5


def test_a_document_larger_than_the_limit_is_written_whole(tmp_path: Path) -> None:
    assert [file.rows for file in write(tmp_path, [build_pages(3, 1000), build_pages(1, 10)], max_bytes=2000)] == [3, 1]


def test_images_are_neither_compressed_nor_in_a_dictionary(tmp_path: Path) -> None:
    (file,) = write(tmp_path, [build_pages(100)])
    group = pq.ParquetFile(file.path).metadata.row_group(0)
    columns = {group.column(index).path_in_schema: group.column(index) for index in range(group.num_columns)}
    assert columns["image.bytes"].compression == "UNCOMPRESSED"
    assert "PLAIN_DICTIONARY" not in columns["image.bytes"].encodings
    assert not any("DICTIONARY" in encoding for encoding in columns["image.bytes"].encodings)
    assert columns["text"].compression == "ZSTD"


def test_the_schema_declares_the_image_column_for_datasets(tmp_path: Path) -> None:
    (file,) = write(tmp_path, [build_pages(1)])
    features = json.loads(pq.read_schema(file.path).metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["page"] == {"dtype": "int32", "_type": "Value"}
    assert features["font_family"] == {"dtype": "string", "_type": "Value"}


def test_equal_pages_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path, [build_pages(150), build_pages(3)])[0] for _ in range(2))
    assert first == second


def test_without_documents_there_is_no_file(tmp_path: Path) -> None:
    assert write(tmp_path, []) == []
    assert list(tmp_path.iterdir()) == []


class FullDisk:
    def write(self, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_raised_as_such_and_leaves_no_writer_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_writer._HashingFile, "write", FullDisk.write)
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path, [build_pages(200)])
    assert caught.value.errno == errno.ENOSPC
