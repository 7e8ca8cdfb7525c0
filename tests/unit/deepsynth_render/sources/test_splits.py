import pytest

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_render.sources.card import parse_card
from deepsynth_render.sources.splits import find_skipped, find_split_files, guess_split

CNN = """---
language:
- en
license: apache-2.0
configs:
- config_name: 1.0.0
  data_files:
  - split: train
    path: 1.0.0/train-*
- config_name: 3.0.0
  data_files:
  - split: train
    path: 3.0.0/train-*
  - split: test
    path:
    - 3.0.0/test-*
---
# Data
"""
CNN_FILES = ["1.0.0/train-0.parquet", "3.0.0/test-0.parquet", "3.0.0/train-0.parquet", "3.0.0/train-1.parquet"]


def test_the_card_says_which_files_belong_to_which_split() -> None:
    files = find_split_files(CNN_FILES, parse_card(CNN).configs, "3.0.0", [])
    assert files == {"train": ["3.0.0/train-0.parquet", "3.0.0/train-1.parquet"], "test": ["3.0.0/test-0.parquet"]}


@pytest.mark.parametrize(
    ("data_files", "paths"),
    [
        ("data.csv", ["data.csv"]),
        ("[a.csv, b.csv]", ["a.csv", "b.csv"]),
        ("'**/*.csv'", ["a.csv", "x/y/b.csv"]),
        ("[{split: train, path: folder}]", ["folder/a.csv"]),
        ("[{split: train, path: ./a.csv}]", ["a.csv"]),
    ],
)
def test_every_form_of_data_files_is_understood(data_files: str, paths: list[str]) -> None:
    card = parse_card(f"---\nconfigs:\n- config_name: default\n  data_files: {data_files}\n---\n")
    assert find_split_files([*paths, "README.md"], card.configs, None, []) == {"train": paths}


def test_the_data_folder_of_a_card_is_prepended_to_its_patterns() -> None:
    card = parse_card("---\nconfigs:\n- {config_name: a, data_dir: a/, data_files: '*.csv'}\n---\n")
    assert find_split_files(["a/x.csv", "x.csv"], card.configs, None, []) == {"train": ["a/x.csv"]}


def test_the_hubs_conversion_of_a_script_is_found_by_configuration_and_split() -> None:
    paths = ["de/train/0000.parquet", "fr/test/0000.parquet", "fr/train/0000.parquet", "fr/train/0001.parquet"]
    files = find_split_files(paths, [], "fr", [])
    assert files == {"test": ["fr/test/0000.parquet"], "train": ["fr/train/0000.parquet", "fr/train/0001.parquet"]}


def test_a_partial_conversion_is_refused_because_rows_would_be_missing() -> None:
    with pytest.raises(DataError, match="only a part of default/train"):
        find_split_files(["default/partial-train/0000.parquet"], [], None, [])


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("validation.jsonl", "validation"),
        ("my_dev.csv", "validation"),
        ("test/part1.parquet", "test"),
        ("train-set/test.csv", "test"),
        ("articles.csv", "train"),
        ("latest.csv", "train"),
    ],
)
def test_a_split_is_guessed_from_the_path(path: str, split: str) -> None:
    assert guess_split(path) == split


def test_a_dataset_that_is_stored_in_two_formats_is_read_once() -> None:
    assert find_split_files(["train.csv", "train.parquet"], [], None, []) == {"train": ["train.parquet"]}


def test_splits_may_have_different_formats() -> None:
    paths = ["train.jsonl", "validation.csv", "test.parquet", "test.csv"]
    expected = {"train": ["train.jsonl"], "validation": ["validation.csv"], "test": ["test.parquet"]}
    assert find_split_files(paths, [], None, []) == expected


def test_files_of_another_format_than_their_split_are_listed_as_skipped() -> None:
    paths = ["train.parquet", "train.csv", "more.jsonl", "test.csv", "notes.txt"]
    assert find_skipped(paths, find_split_files(paths, [], None, [])) == ["train.csv", "more.jsonl"]
    assert find_skipped(["train.csv", "test.csv"], {"train": ["train.csv"]}) == []


@pytest.mark.parametrize(
    ("config", "splits", "words"),
    [
        ("2.0.0", [], ["source.config", "'2.0.0'", "1.0.0, 3.0.0"]),
        (None, [], ["source.config", "choose one", "1.0.0, 3.0.0"]),
        ("3.0.0", ["train", "dev"], ["source.splits", "'dev'", "train, test"]),
    ],
)
def test_an_unknown_configuration_or_split_is_refused_with_a_list_of_those_there_are(
    config: str | None, splits: list[str], words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_split_files(CNN_FILES, parse_card(CNN).configs, config, splits)
    assert all(word in caught.value.message for word in words)


def test_only_the_splits_that_are_asked_for_are_read() -> None:
    assert list(find_split_files(CNN_FILES, parse_card(CNN).configs, "3.0.0", ["test"])) == ["test"]


def test_the_configuration_marked_as_default_is_taken() -> None:
    card = parse_card(CNN.replace("config_name: 3.0.0", "config_name: 3.0.0\n  default: true"))
    assert set(find_split_files(CNN_FILES, card.configs, None, [])) == {"train", "test"}


def test_a_split_with_a_name_that_no_reader_accepts_is_refused() -> None:
    card = parse_card("---\nconfigs:\n- {config_name: a, data_files: [{split: a-b, path: x.csv}]}\n---\n")
    with pytest.raises(ConfigurationError, match="'a-b' cannot be read"):
        find_split_files(["x.csv"], card.configs, None, [])


def test_a_source_of_another_format_is_refused_with_a_list_of_known_formats() -> None:
    with pytest.raises(DataError, match=r"\.parquet, \.jsonl, \.csv.*such as data\.arrow"):
        find_split_files(["data.arrow"], [], None, [])
