"""Names of files and patterns of cards as other people write them: what is read for which split."""

import pytest

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_render.sources.card import Config
from deepsynth_render.sources.splits import guess_split, select_files


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("testData.csv", "test"),
        ("TrainData.jsonl", "train"),
        ("myValidationFile.parquet", "validation"),
        ("testset.jsonl.gz", "test"),
        ("dev_set.csv", "validation"),
        ("valset01.csv", "validation"),
        ("TEST.CSV", "test"),
        ("train/validation.jsonl", "validation"),
        ("contest.jsonl", "train"),
        ("latest.csv", "train"),
        ("attestations.csv", "train"),
        ("assets/evaluations.csv", "train"),
        ("données-test.csv", "test"),
    ],
)
def test_a_split_is_a_word_in_the_name(path: str, split: str) -> None:
    assert guess_split(path) == split


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("data/*.csv", ["data/a.csv"]),
        ("data/**.csv", ["data/a.csv", "data/fr/a.csv", "data/fr/old/a.csv"]),
        ("data/**", ["data/a.csv", "data/fr/a.csv", "data/fr/old/a.csv"]),
        ("data/**/*.csv", ["data/a.csv", "data/fr/a.csv", "data/fr/old/a.csv"]),
        ("**/*.csv", ["a.csv", "data/a.csv", "data/fr/a.csv", "data/fr/old/a.csv"]),
        ("data/*/a.csv", ["data/fr/a.csv"]),
        ("data/fr", ["data/fr/a.csv", "data/fr/old/a.csv"]),
        ("./data/[a-c].csv", ["data/a.csv"]),
        ("*.csv", ["a.csv"]),
        ("**", ["a.csv", "data/a.csv", "data/fr/a.csv", "data/fr/old/a.csv"]),
    ],
)
def test_a_star_stays_within_a_folder(pattern: str, matched: list[str]) -> None:
    paths = ["a.csv", "data/a.csv", "data/fr/a.csv", "data/fr/old/a.csv"]
    configs = [Config("default", {"train": [pattern]}), Config("rest", {"train": ["**"]})]
    assert select_files(paths, configs, "default", []).files == {"train": matched}


def test_patterns_with_many_stars_end() -> None:
    configs = [Config("default", {"train": ["/".join(["**", "a"] * 30)]})]
    with pytest.raises(DataError, match="no file matches"):
        select_files(["a/" * 60 + "b.csv"], configs, None, [])


def test_a_file_that_the_card_names_and_that_is_not_there_is_refused_unless_its_split_is_not_read() -> None:
    configs = [Config("default", {"train": ["a.csv"], "test": ["b.csv", "gone-*.csv"]})]
    with pytest.raises(
        DataError, match=r"no file matches 'gone-\*\.csv', which the README\.md names for .* 'test'; add"
    ):
        select_files(["a.csv", "b.csv"], configs, None, [])
    assert select_files(["a.csv", "b.csv"], configs, None, ["train"]).files == {"train": ["a.csv"]}


def test_a_file_and_its_compressed_copy_are_read_once() -> None:
    paths = ["train-0.jsonl", "train-0.jsonl.gz", "train-1.jsonl.gz"]
    found = select_files(paths, [], None, [])
    assert found.files == {"train": ["train-0.jsonl", "train-1.jsonl.gz"]}
    assert found.skipped == {"train-0.jsonl.gz": Reason.OTHER_FORMAT}


@pytest.mark.parametrize("split", ["all", "s" * 129, "\u8bad" * 43, "train-clean", "my split", ""])
def test_a_split_that_no_dataset_can_have_is_refused(split: str) -> None:
    configs = [Config("default", {split: ["a.csv"], "test": ["b.csv"]})]
    with pytest.raises(
        ConfigurationError, match=r"cannot be read, split names must match .*; list the other splits, or"
    ):
        select_files(["a.csv", "b.csv"], configs, None, [])
    assert select_files(["a.csv", "b.csv"], configs, None, ["test"]).files == {"test": ["b.csv"]}
