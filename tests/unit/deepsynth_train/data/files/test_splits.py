from pathlib import Path

import pytest

from deepsynth_api.errors import DataError
from deepsynth_store import open_dataset
from deepsynth_train.data.files.splits import find_splits, list_split_files, select_split_files


@pytest.mark.parametrize(
    "path",
    [
        "data/train-00000.parquet",
        "data/train-00012-1.parquet",
        "data/train-00000-of-00003.parquet",
        "data/train-00000-of-00001-0123456789abcdef.parquet",
        "train.parquet",
        "default/train/0000.parquet",
    ],
)
def test_the_names_that_the_hub_and_our_own_publisher_use(path: str) -> None:
    assert select_split_files([path, "README.md"], "train") == [path]
    assert select_split_files([path], "validation") == []


def test_splits_with_a_common_prefix_are_distinguished() -> None:
    paths = ["data/train-00000.parquet", "data/train_small-00000.parquet", "README.md"]
    assert select_split_files(paths, "train") == paths[:1]
    assert find_splits(paths) == {"train", "train_small"}


@pytest.mark.parametrize(
    ("field", "remedy"),
    [("trainSplit", "name one of them$"), ("validationSplit", 'name one of them, or write "" for no evaluation$')],
)
def test_a_missing_split_is_named_with_the_existing_ones_and_the_remedy(
    tmp_path: Path, field: str, remedy: str
) -> None:
    (tmp_path / "test.parquet").touch()
    folder = open_dataset(f"file://{tmp_path}", field="uri")

    with pytest.raises(DataError, match=f"^datasets.{field}: .* has no split 'x'; its splits are test; {remedy}"):
        list_split_files(folder, "x", f"datasets.{field}")


def test_a_folder_without_parquet_files_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "page.png").touch()
    with pytest.raises(DataError, match="has no parquet files; render it with a DatasetGeneration"):
        list_split_files(open_dataset(f"file://{tmp_path}", None), "train", "spec.datasets[d].trainSplit")
