from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_store.cache.files import FileCache
from deepsynth_train.data.files.convert import convert_parquet
from deepsynth_train.data.files.materialise import materialise, plan_datasets
from support.training.page_dataset import build_document, build_documents, draw_noise, write_dataset, write_split
from unit.deepsynth_train.data.page_loading import describe

if TYPE_CHECKING:
    from deepsynth_train.data.files.materialise import LocalDataset


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Outside of the dataset's folder."""
    return tmp_path.with_name(f"{tmp_path.name}-cache")


def test_a_materialised_dataset_is_not_fetched_again(tmp_path: Path, cache: Path) -> None:
    write_dataset(tmp_path / "pages", {"train": build_documents(2)})
    calls: list[tuple[int, int]] = []
    first = materialise(plan_datasets([describe(tmp_path / "pages")], cache), cache, lambda *call: calls.append(call))
    assert calls[0][0] == 0
    assert calls[-1][0] == calls[-1][1] > 0
    written = [path.stat().st_mtime_ns for path in first[0].train.files]
    again: list[tuple[int, int]] = []
    assert (
        materialise(plan_datasets([describe(tmp_path / "pages")], cache), cache, lambda *call: again.append(call))
        == first
    )
    assert again == calls[-1:]
    assert [path.stat().st_mtime_ns for path in first[0].train.files] == written


def test_changed_content_at_the_same_uri_is_fetched_again(tmp_path: Path, cache: Path) -> None:
    write_dataset(tmp_path / "pages", {"train": build_documents(2)})
    first = materialise(plan_datasets([describe(tmp_path / "pages")], cache), cache, lambda *_: None)
    write_dataset(tmp_path / "pages", {"train": build_documents(3)})
    assert materialise(plan_datasets([describe(tmp_path / "pages")], cache), cache, lambda *_: None) != first


def test_a_flipped_byte_in_a_shard_is_found_by_the_manifest(tmp_path: Path, cache: Path) -> None:
    write_dataset(tmp_path, {"train": build_documents(2)})
    path = tmp_path / "data" / "train-00000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data/train-00000.parquet of .* is damaged"):
        materialise(plan_datasets([describe(tmp_path)], cache), cache, lambda *_: None)


def test_a_shard_that_is_in_the_manifest_but_not_in_the_folder_is_an_error(tmp_path: Path, cache: Path) -> None:
    write_dataset(tmp_path, {"train": build_documents(2), "validation": build_documents(1)})
    (tmp_path / "data" / "train-00000.parquet").unlink()
    with pytest.raises(DataError, match=r"data/train-00000.parquet"):
        materialise(plan_datasets([describe(tmp_path)], cache), cache, lambda *_: None)


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path, cache: Path) -> None:
    write_split(tmp_path, "train", build_documents(1)).write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"data/train-00000.parquet of file://.*: not a readable parquet file"):
        materialise(plan_datasets([describe(tmp_path)], cache), cache, lambda *_: None)


def test_a_cache_that_is_too_small_is_reported_with_both_sizes(tmp_path: Path, cache: Path) -> None:
    write_dataset(tmp_path, {"train": build_documents(2)})
    with pytest.raises(ConfigurationError, match=r"spec.cache.sizeLimit: the datasets need [\d,]+ bytes .* has 10"):
        materialise(plan_datasets([describe(tmp_path)], cache), cache, lambda *_: None, cache_bytes=10)


def test_a_missing_split_is_named_with_the_existing_ones(tmp_path: Path, cache: Path) -> None:
    write_dataset(tmp_path, {"train": build_documents(1), "test": build_documents(1)})
    with pytest.raises(DataError, match=r"validationSplit: .* has no split 'validation'; its splits are test, train"):
        materialise(plan_datasets([describe(tmp_path, "validation")], cache), cache, lambda *_: None)


@pytest.mark.parametrize("image", ["page.png", 3, [1, 2], {"path": "page.png"}])
def test_an_image_column_without_bytes_is_refused(image: object, tmp_path: Path, cache: Path) -> None:
    write_split(tmp_path, "train", build_document(1, image=image))
    with pytest.raises(DataError, match=r"data/train-00000.parquet of .*: column 'image' must hold the bytes of an im"):
        materialise(plan_datasets([describe(tmp_path)], cache), cache, lambda *_: None)


def test_columns_whose_dictionaries_differ_between_row_groups_are_read(tmp_path: Path, cache: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from deepsynth_train.data.files.page_table import PageTable

    path = write_split(tmp_path, "train", build_documents(4))
    table = pq.read_table(path)
    expected = table.column("summary").to_pylist()
    for name in ("summary", "text", "document_id"):
        encoded = table.column(name).cast(pa.dictionary(pa.int32(), pa.string()))
        table = table.set_column(table.column_names.index(name), name, encoded)
    with pq.ParquetWriter(path, table.schema) as writer:
        for start in range(0, len(table), 2):
            writer.write_table(table.slice(start, 2))
    local = materialise(plan_datasets([describe(tmp_path)], cache), cache, lambda *_: None)
    columns = PageTable(local[0].train.files).iter_column("summary")
    assert [value for column in columns for value in column.to_pylist()] == expected


def read_column(dataset: "LocalDataset", name: str) -> list[Any]:
    from deepsynth_train.data.files.page_table import PageTable

    return [value for column in PageTable(dataset.train.files).iter_column(name) for value in column.to_pylist()]


def test_memory_does_not_depend_on_the_size_of_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [draw_noise(seed, (32, 32)) for seed in range(10)] * 600
    parquet, pool = tmp_path / "0.parquet", pa.default_memory_pool()
    table = pa.table({"image": images, "text": ["x"] * len(images)})
    pq.write_table(table, parquet, compression="none", use_dictionary=False)
    assert pq.read_metadata(parquet).num_row_groups == 1
    seen = []

    def watch(batches: Any, _: str) -> Any:
        for batch in batches:
            seen.append(pool.bytes_allocated())
            yield batch

    monkeypatch.setattr("deepsynth_train.data.files.convert._check_images", watch)
    before = pool.bytes_allocated()
    convert_parquet(parquet, tmp_path / "0.arrow", "a file")
    assert max(seen) - before < parquet.stat().st_size / 2


def test_pages_are_sorted_by_their_numbers(tmp_path: Path, cache: Path) -> None:
    """More rows than a batch, so that pages move from one batch to another."""
    rows = [row for number in range(5) for row in build_document(number, pages=30)]
    shuffled = [rows[30 * number + (7 * page + 3) % 30] for number in range(5) for page in range(30)]
    write_split(tmp_path, "train", shuffled)
    local = materialise(plan_datasets([describe(tmp_path)], cache), cache, lambda *_: None)[0]
    assert read_column(local, "text") == [row["text"] for row in rows]
    assert read_column(local, "image") == [row["image"] for row in rows]


@pytest.mark.parametrize("damage", ["other", "cut", "flipped"])
def test_damaged_images_are_named_before_training(damage: str, tmp_path: Path, cache: Path) -> None:
    rows = build_documents(30)
    content = rows[3]["image"]["bytes"]
    half = len(content) // 2
    flipped = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
    bad = {"other": b"no image", "cut": content[:half], "flipped": flipped}[damage]
    for row in (3, 17, *range(30, 50)):
        rows[row]["image"] = {"bytes": bad, "path": None}
    write_split(tmp_path, "train", rows)
    named = r"data/train-00000.parquet of .*: the images of 22 rows are damaged \(3, 17, 30, .* and 12 more\); row 3: "
    with pytest.raises(DataError, match=named):
        materialise(plan_datasets([describe(tmp_path)], cache), cache, lambda *_: None)


def test_a_row_without_an_image_is_left_to_its_sample(tmp_path: Path, cache: Path) -> None:
    """It may be dropped for another reason."""
    write_split(tmp_path, "train", [*build_document(0), *build_document(1, image=None)])
    assert (
        len(read_column(materialise(plan_datasets([describe(tmp_path)], cache), cache, lambda *_: None)[0], "image"))
        == 2
    )


def materialise_shared(
    folder: Path, cache: Path, shared: Path, *, limit: int = 10**9
) -> tuple["LocalDataset", FileCache]:
    """As a new pod does it, with a shared folder. cache: of the pod."""
    opened = FileCache(shared, limit, lambda _: None)
    local = materialise(plan_datasets([describe(folder, "validation")], cache), cache, lambda *_: None, shared=opened)[
        0
    ]
    opened.close()
    return local, opened


def test_a_new_pod_finds_the_arrow_files_of_an_earlier_one(tmp_path: Path) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(3), "validation": build_documents(1, start=9)})
    first, filled = materialise_shared(pages, tmp_path / "one", tmp_path / "shared")
    second, found = materialise_shared(pages, tmp_path / "two", tmp_path / "shared")
    assert second == first
    assert (filled.reused, found.fetched) == (0, 0)
    assert found.reused == filled.fetched > 0
    plain = materialise(
        plan_datasets([describe(pages, "validation")], tmp_path / "plain"), tmp_path / "plain", lambda *_: None
    )[0]
    assert [path.read_bytes() for path in first.train.files] == [path.read_bytes() for path in plain.train.files]
    assert not (tmp_path / "one").exists()


def test_another_revision_is_fetched_and_equal_files_are_stored_once(tmp_path: Path) -> None:
    pages, shared = tmp_path / "pages", tmp_path / "shared"
    write_dataset(pages, {"train": build_documents(2), "validation": build_documents(2)})
    _, first = materialise_shared(pages, tmp_path / "one", shared)
    assert len(list(shared.glob("inputs-v1/*.json"))) == 1, "both splits are the same file"
    write_dataset(pages, {"train": build_documents(3), "validation": build_documents(2)})
    local, second = materialise_shared(pages, tmp_path / "two", shared)
    assert (first.reused, second.reused) == (0, first.fetched)
    assert len(read_column(local, "text")) == len(build_documents(3))


def test_what_the_shared_folder_has_no_room_for_is_kept_on_the_node(tmp_path: Path) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(3), "validation": build_documents(1)})
    local, found = materialise_shared(pages, tmp_path / "node", tmp_path / "shared", limit=10)
    assert found.fetched == 0
    assert [path.is_relative_to(tmp_path / "node") for path in local.train.files] == [True]
    assert len(read_column(local, "text")) == len(build_documents(3))


def test_a_damaged_shard_is_the_same_error_with_a_shared_folder(tmp_path: Path) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(2), "validation": build_documents(1)})
    path = pages / "data" / "train-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"data/train-00000.parquet of .* is damaged"):
        materialise_shared(pages, tmp_path / "node", tmp_path / "shared")
    assert not list((tmp_path / "shared" / "inputs-v1" / "filling").iterdir())
