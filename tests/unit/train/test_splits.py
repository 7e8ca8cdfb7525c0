import pytest

from deepsynth_train.data.splits import find_splits, select_split_files


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
def test_names_that_the_hub_and_our_own_publisher_use(path: str) -> None:
    assert select_split_files([path, "README.md"], "train") == [path]
    assert select_split_files([path], "validation") == []


def test_splits_that_begin_alike_are_told_apart() -> None:
    paths = ["data/train-00000.parquet", "data/train_small-00000.parquet", "README.md"]
    assert select_split_files(paths, "train") == paths[:1]
    assert find_splits(paths) == {"train", "train_small"}
