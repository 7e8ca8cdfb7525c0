import pytest

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_render.sources.card import parse_card
from deepsynth_render.sources.splits import guess_split, select_files

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
    files = select_files(CNN_FILES, parse_card(CNN).configs, "3.0.0", []).files
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
    assert select_files([*paths, "README.md"], card.configs, None, []).files == {"train": paths}


def test_the_data_folder_of_a_card_is_prepended_to_its_patterns() -> None:
    card = parse_card("---\nconfigs:\n- {config_name: a, data_dir: a/, data_files: '*.csv'}\n---\n")
    assert select_files(["a/x.csv", "x.csv"], card.configs, None, []).files == {"train": ["a/x.csv"]}


def test_the_hubs_conversion_of_a_script_is_found_by_configuration_and_split() -> None:
    paths = ["de/train/0000.parquet", "fr/test/0000.parquet", "fr/train/0000.parquet", "fr/train/0001.parquet"]
    files = select_files(paths, [], "fr", []).files
    assert files == {"test": ["fr/test/0000.parquet"], "train": ["fr/train/0000.parquet", "fr/train/0001.parquet"]}


def test_early_conversions_of_several_configurations_are_not_mixed() -> None:
    paths = ["ar/xlsum-test.parquet", "ar/xlsum-train.parquet", "bn/xlsum-train-00000-of-00001.parquet"]
    expected = {"test": ["ar/xlsum-test.parquet"], "train": ["ar/xlsum-train.parquet"]}
    assert select_files(paths, [], "ar", []).files == expected
    with pytest.raises(ConfigurationError, match="choose one; the source has ar, bn"):
        select_files(paths, [], None, [])
    assert select_files(["a/x-train.parquet", "b/y-train.parquet"], [], None, []).files == {
        "train": ["a/x-train.parquet", "b/y-train.parquet"]
    }


def test_a_partial_conversion_is_refused_because_rows_would_be_missing() -> None:
    with pytest.raises(DataError, match="only a part of default/train"):
        select_files(["default/partial-train/0000.parquet"], [], None, [])


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
    assert select_files(["train.csv", "train.parquet"], [], None, []).files == {"train": ["train.parquet"]}


def test_splits_may_have_different_formats() -> None:
    paths = ["train.jsonl", "validation.csv", "test.parquet", "test.csv"]
    expected = {"train": ["train.jsonl"], "validation": ["validation.csv"], "test": ["test.parquet"]}
    assert select_files(paths, [], None, []).files == expected


def test_every_file_that_is_not_read_has_a_reason() -> None:
    paths = ["README.md", "train.parquet", "train.csv", "more.jsonl", "test.csv", "notes.txt"]
    assert select_files(paths, [], None, ["train"]).skipped == {
        "train.csv": "OtherFormat",
        "more.jsonl": "OtherFormat",
        "test.csv": "OtherSplit",
        "notes.txt": "UnknownFormat",
    }


@pytest.mark.parametrize(
    ("paths", "read"),
    [
        (["articles.csv", "schema.json"], ["articles.csv"]),
        (["train.json", "schema.json"], ["train.json"]),
        (["train.csv", "train.jsonl.gz"], ["train.csv"]),
        (["train-1.jsonl", "train-2.jsonl.gz"], ["train-1.jsonl", "train-2.jsonl.gz"]),
        (["a.json", "b.json"], ["a.json", "b.json"]),
    ],
)
def test_json_next_to_data_and_compressed_copies_are_not_preferred(paths: list[str], read: list[str]) -> None:
    assert select_files(paths, [], None, []).files == {"train": read}


def test_settings_next_to_the_data_are_listed_with_a_reason() -> None:
    assert select_files(["train.json", "test.csv", "schema.json"], [], None, []).skipped == {"schema.json": "NoSplit"}


def test_files_of_other_configurations_and_files_that_the_card_does_not_name_have_a_reason() -> None:
    paths = [*CNN_FILES, "3.0.0/more.parquet"]
    assert select_files(paths, parse_card(CNN).configs, "3.0.0", []).skipped == {
        "1.0.0/train-0.parquet": "OtherConfiguration",
        "3.0.0/more.parquet": "NotInCard",
    }


def test_suffixes_may_be_in_upper_case_and_compressed() -> None:
    paths = ["TRAIN.JSONL", "Test.Csv.GZ", "valid.json.zst"]
    assert select_files(paths, [], None, []).files == {
        "train": ["TRAIN.JSONL"],
        "test": ["Test.Csv.GZ"],
        "validation": ["valid.json.zst"],
    }


def test_configurations_that_are_only_folders_are_not_mixed() -> None:
    card = parse_card("---\nconfigs:\n- {config_name: de, data_dir: de}\n- {config_name: fr, data_dir: fr/}\n---\n")
    paths = ["de/train.csv", "de/test.csv", "fr/train.csv"]
    assert select_files(paths, card.configs, "de", []).files == {"train": ["de/train.csv"], "test": ["de/test.csv"]}
    with pytest.raises(ConfigurationError, match="choose one; the source has de, fr"):
        select_files(paths, card.configs, None, [])


def test_a_card_whose_patterns_match_no_file_is_refused_with_the_patterns() -> None:
    card = parse_card("---\nconfigs:\n- {config_name: a, data_files: 'data/*.csv'}\n---\n")
    with pytest.raises(DataError, match=r"no file matches the configurations of its README.md \(data/\*.csv\)"):
        select_files(["a.csv"], card.configs, None, [])


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
        select_files(CNN_FILES, parse_card(CNN).configs, config, splits)
    assert all(word in caught.value.message for word in words)


def test_only_the_splits_that_are_asked_for_are_read() -> None:
    assert list(select_files(CNN_FILES, parse_card(CNN).configs, "3.0.0", ["test"]).files) == ["test"]


def test_the_configuration_marked_as_default_is_taken() -> None:
    card = parse_card(CNN.replace("config_name: 3.0.0", "config_name: 3.0.0\n  default: true"))
    assert set(select_files(CNN_FILES, card.configs, None, []).files) == {"train", "test"}


def test_a_split_with_a_name_that_no_reader_accepts_is_refused() -> None:
    card = parse_card("---\nconfigs:\n- {config_name: a, data_files: [{split: a-b, path: x.csv}]}\n---\n")
    with pytest.raises(ConfigurationError, match="'a-b' cannot be read"):
        select_files(["x.csv"], card.configs, None, [])


def test_a_source_of_another_format_is_refused_with_a_list_of_known_formats() -> None:
    with pytest.raises(DataError, match=r"\.parquet, \.jsonl, \.csv, \.tsv, \.json.*such as data\.arrow"):
        select_files(["data.arrow"], [], None, [])


def test_a_file_of_two_configurations_is_read_once_for_the_first_of_them() -> None:
    card = parse_card(
        "---\nconfigs:\n- {config_name: all, data_files: '*.csv'}\n- {config_name: de, data_files: de.csv}\n---\n"
    )
    selection = select_files(["de.csv", "fr.csv"], card.configs, None, [], several=["de", "all"])
    assert selection.configs == {"de": {"train": ["de.csv"]}, "all": {"train": ["fr.csv"]}}
    assert selection.skipped == {}


def test_a_configuration_whose_name_cannot_be_written_is_refused() -> None:
    card = parse_card('---\nconfigs: [{config_name: "\\ud800", data_files: a.csv}]\n---\n')
    with pytest.raises(ConfigurationError, match=r"spec.source.configs: .* '\\ud800' is not UTF-8; list the others"):
        select_files(["a.csv"], card.configs, None, [], several=["*"])
