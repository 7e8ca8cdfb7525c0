import pytest

from deepsynth_render.sources.formats.suffixes import FileFormat, find_format


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/train-00000-of-00002.parquet", FileFormat("parquet")),
        ("TRAIN.JSONL", FileFormat("jsonl")),
        ("a/b.Csv", FileFormat("csv")),
        ("a.ndjson", FileFormat("jsonl")),
        ("a.json", FileFormat("json")),
        ("a.tsv", FileFormat("tsv")),
        ("a.jsonl.gz", FileFormat("jsonl", "gzip")),
        ("a.JSON.ZST", FileFormat("json", "zstd")),
        ("a.csv.xz", FileFormat("csv", "xz")),
        ("a.csv.bz2", FileFormat("csv", "bz2")),
        ("a.parquet.gz", None),
        ("a.gz", None),
        ("jsonl", None),
        (".json", None),
        ("notes.txt", None),
        ("dataset_infos.json", None),
        ("data/state.json", None),
        ("a.jsonl/readme", None),
    ],
)
def test_the_format_is_found_by_the_name(path: str, expected: FileFormat | None) -> None:
    assert find_format(path) == expected
