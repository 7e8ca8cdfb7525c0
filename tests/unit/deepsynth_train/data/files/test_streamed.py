"""Datasets that are read from their store until their files have arrived: the same samples, the same errors."""

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from deepsynth_api.errors import DataError
from deepsynth_store import open_dataset
from deepsynth_store.cache.files import FileCache
from deepsynth_store.core.ranged_file import open_ranged
from deepsynth_store.folder.reading import FolderDataset
from deepsynth_train.data.files.filling import Filling
from deepsynth_train.data.files.materialise import materialise, plan_datasets
from deepsynth_train.data.files.streamed import copy_text
from support.training.page_dataset import build_document, build_documents, write_dataset
from unit.deepsynth_train.data.page_loading import describe

if TYPE_CHECKING:
    from deepsynth_train.data.files.materialise import LocalDataset
    from deepsynth_train.data.files.streamed import Stream

ROWS = [build_documents(4), build_documents(5, start=10), build_documents(3, start=30)]
"""Of each file."""


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Three files of small row groups, and a validation split."""
    import hashlib

    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = write_dataset(tmp_path / "pages", {"validation": build_documents(1, start=50)})
    manifest = json.loads((folder / "deepsynth/manifest.json").read_text())
    for number, rows in enumerate(ROWS):
        path = folder / f"data/train-{number:05d}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3, compression="none")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest["files"].append({"path": f"data/{path.name}", "size": path.stat().st_size, "sha256": digest})
    (folder / "deepsynth/manifest.json").write_text(json.dumps(manifest))
    return folder


def stream(pages: Path, cache: Path, **changes: Any) -> "LocalDataset":
    dataset = describe(pages, "validation")
    return materialise(plan_datasets([dataset], cache), cache, lambda *_: None, may_stream=lambda *_: True, **changes)[
        0
    ]


def list_streams(local: "LocalDataset") -> "list[Stream]":
    return [found for found in local.train.streams if found]


def fill(local: "LocalDataset", cache: Path, notes: list[str], **changes: Any) -> Filling:
    filling = Filling(list_streams(local), cache, notes.append, **changes)
    filling.start()
    filling.join()
    return filling


def read_all(local: "LocalDataset", columns: Sequence[str] = ("image", "text", "summary", "page")) -> list[Any]:
    table = local.train.open()
    return [[table.read(row, column) for column in columns] for row in range(len(table))]


def read_expected() -> list[Any]:
    return [[row[name] for name in ("image", "text", "summary", "page")] for rows in ROWS for row in rows]


def test_streamed_rows_are_those_of_the_files(pages: Path, tmp_path: Path) -> None:
    local = stream(pages, tmp_path / "cache")
    assert len(list_streams(local)) == 3
    assert not any(path.exists() for path in local.train.files)
    assert local.validation
    assert all(path.exists() for path in local.validation.files), "evaluations read all of it, again and again"
    assert read_all(local) == read_expected()


def test_an_arrived_file_is_read_instead_of_the_store(pages: Path, tmp_path: Path) -> None:
    local = stream(pages, tmp_path / "cache")
    fill(local, tmp_path / "cache", []).check()
    assert all(path.exists() for path in local.train.files)
    for path in (pages / "data").iterdir():
        path.unlink()
    assert read_all(local) == read_expected()


def test_a_row_group_costs_one_request_for_its_texts_and_one_for_its_images(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub limits how many there are."""
    requests: list[int] = []

    def open_counting(self: FolderDataset, path: str) -> BinaryIO:
        content = (pages / path).read_bytes()

        def fetch(start: int, length: int) -> bytes:
            requests.append(length)
            return content[start : start + length]

        return open_ranged(len(content), fetch)

    local = stream(pages, tmp_path / "first")
    monkeypatch.setattr(FolderDataset, "open", open_counting)
    first = list_streams(local)[0]
    groups = -(-len(ROWS[0]) // 3)
    assert copy_text(open_dataset(first.uri, first.revision), first.path, tmp_path / "again" / "0.arrow")
    assert len(requests) <= groups + 1, "one for the footer"
    requests.clear()
    table = local.train.open()
    assert [table.read(row, "image") for row in range(len(ROWS[0]))] == [row["image"] for row in ROWS[0]]
    assert len(requests) == groups


def test_texts_of_small_row_groups_are_together_in_a_batch(pages: Path, tmp_path: Path) -> None:
    """Each takes memory as long as the table is open, and a dataset has tens of thousands of row groups."""
    import pyarrow as pa

    local = stream(pages, tmp_path / "cache")
    for found, rows in zip(list_streams(local), ROWS, strict=True):
        reader = pa.ipc.open_file(found.text)
        assert (reader.num_record_batches, reader.get_batch(0).num_rows) == (1, len(rows))


def test_threads_that_read_at_the_same_time_wait_for_room(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node with many cores has many threads, and each row group takes memory while it is read."""
    monkeypatch.setattr("deepsynth_train.data.files.streamed._choose_room", lambda: 1)
    table = stream(pages, tmp_path / "cache").train.open()
    open_file, reading, most = FolderDataset.open, list[str](), list[int]()

    @contextlib.contextmanager
    def open_counting(self: FolderDataset, path: str) -> Iterator[BinaryIO]:
        reading.append(path)
        time.sleep(0.01)
        most.append(len(reading))
        with open_file(self, path) as file:
            yield file
        reading.remove(path)

    monkeypatch.setattr(FolderDataset, "open", open_counting)
    expected = [row["image"] for rows in ROWS for row in rows]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: table.read(row, "image"), range(len(table)))) == expected
    assert max(most) == 1


def test_threads_may_read_at_the_same_time(pages: Path, tmp_path: Path) -> None:
    table = stream(pages, tmp_path / "cache").train.open()
    rows = list(range(len(table))) * 5
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: table.read(row, "image"), rows))
    assert found == [row[0] for row in read_expected()] * 5


def test_memory_is_bounded(pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepsynth_train.data.files.streamed._MAX_KEPT_BYTES", 1)
    table = stream(pages, tmp_path / "cache").train.open()
    assert [table.read(row, "image") for row in range(len(table))] == [row[0] for row in read_expected()]
    assert len(table._groups._images) == 1  # type: ignore[attr-defined]  # of a streamed table


def test_row_groups_take_an_eighth_of_the_memory_of_the_container(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for group in ROWS for row in group]
    size = sum(len(row["image"]["bytes"]) for row in rows)
    monkeypatch.setattr("deepsynth_train.data.files.streamed.read_memory_limit", lambda: 8 * size)
    counts = []
    for workers in ("1", str(2 * size)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", workers)
        table = stream(pages, tmp_path / "cache").train.open()
        assert [table.read(row, "image") for row in range(len(table))] == [row[0] for row in read_expected()]
        counts.append(len(table._groups._images))  # type: ignore[attr-defined]  # of a streamed table
    assert counts[0] > counts[1] == 1


@pytest.mark.parametrize("reason", ["unsorted", "large row groups"])
def test_a_file_that_cannot_be_streamed_is_fetched_before_the_first_step(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = build_document(1, pages=3)
    if reason == "unsorted":
        rows = rows[::-1]
    else:
        monkeypatch.setattr("deepsynth_train.data.files.streamed._MAX_GROUP_BYTES", 10)
    pages = write_dataset(tmp_path / "pages", {"train": rows, "validation": rows})
    local = stream(pages, tmp_path / "cache")
    assert not list_streams(local)
    assert [row[1] for row in read_all(local)] == [f"page {page} of 1" for page in range(3)]


def test_only_files_that_the_shared_folder_lacks_are_streamed(pages: Path, tmp_path: Path) -> None:
    shared = FileCache(tmp_path / "shared", 10**9, pytest.fail)
    first = stream(pages, tmp_path / "one", shared=shared)
    fill(first, tmp_path / "one", [], shared=shared).check()
    assert read_all(first) == read_expected()
    assert not list((tmp_path / "one").rglob("train/[0-9].arrow"))
    second = stream(pages, tmp_path / "two", shared=shared)
    assert not list_streams(second)
    assert read_all(second) == read_expected()
    shared.close()


def test_what_does_not_fit_stays_in_the_store_with_one_note(pages: Path, tmp_path: Path) -> None:
    local, notes = stream(pages, tmp_path / "cache"), list[str]()
    used = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.arrow"))
    room = int((pages / "data/train-00000.parquet").stat().st_size * 2.2)
    fill(local, tmp_path / "cache", notes, cache_bytes=used + room).check()
    assert [path.exists() for path in local.train.files] == [True, False, False]
    assert [note.partition(" on this node")[0] for note in notes] == [
        "warning: spec.cache.stream: 2 of 3 files do not fit"
    ]
    assert read_all(local) == read_expected()


def test_a_file_with_another_hash_is_the_error_of_a_local_copy(pages: Path, tmp_path: Path) -> None:
    path = pages / "data/train-00001.parquet"
    content = bytearray(path.read_bytes())
    content[content.index(ROWS[1][4]["image"]["bytes"]) + 60] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError) as copied:
        materialise(
            plan_datasets([describe(pages, "validation")], tmp_path / "copy"), tmp_path / "copy", lambda *_: None
        )
    filling = fill(stream(pages, tmp_path / "cache"), tmp_path / "cache", [])
    with pytest.raises(DataError) as streamed:
        filling.check()
    assert streamed.value.message == copied.value.message


def test_a_missing_file_is_a_data_error(pages: Path, tmp_path: Path) -> None:
    local = stream(pages, tmp_path / "cache")
    (pages / "data/train-00001.parquet").unlink()
    with pytest.raises(DataError, match=r"holds no file data/train-00001.parquet"):
        read_all(local)


def test_a_file_that_is_not_parquet_is_named(pages: Path, tmp_path: Path) -> None:
    (pages / "data/train-00001.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(DataError, match=r"data/train-00001.parquet of file://.*: not a readable parquet file"):
        stream(pages, tmp_path / "cache")


def test_texts_that_differ_from_the_file_that_arrives_are_an_error(pages: Path, tmp_path: Path) -> None:
    local = stream(pages, tmp_path / "cache")
    other = stream(write_dataset(tmp_path / "other", {"train": ROWS[0], "validation": ROWS[0]}), tmp_path / "others")
    first, second = list_streams(local)[1].text, list_streams(other)[0].text
    Path(first).write_bytes(Path(second).read_bytes())
    filling = fill(local, tmp_path / "cache", [])
    with pytest.raises(DataError, match=r"data/train-00001.parquet of .* was changed while it was read"):
        filling.check()
