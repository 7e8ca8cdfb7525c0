import pytest

from deepsynth_render.documents.dataset_manifest import ManifestFile
from deepsynth_render.documents.receipt import Receipt, data_path, matches, parse_receipt
from deepsynth_store import StoredFile

RECEIPT = Receipt(plan="a" * 64, shard=3, split="train", rows_sha256="d" * 64, documents=1, pages=2, size=9, files=[])
OF_EARLIER_VERSION = RECEIPT.updated(rows_sha256=None)


@pytest.mark.parametrize("receipt", [RECEIPT, OF_EARLIER_VERSION])
def test_a_receipt_is_read_back(receipt: Receipt) -> None:
    assert parse_receipt(receipt.to_json(), "a" * 64, 3, "d" * 64) == receipt


@pytest.mark.parametrize(
    ("content", "staging", "shard", "rows"),
    [
        (RECEIPT.to_json(), "b" * 64, 3, "d" * 64),
        (RECEIPT.to_json(), "a" * 64, 4, "d" * 64),
        (RECEIPT.to_json(), "a" * 64, 3, "e" * 64),
        (b"withdrawn\n", "a" * 64, 3, "d" * 64),
    ],
)
def test_a_withdrawn_receipt_or_one_of_another_plan_or_shard_or_of_other_rows_does_not_count(
    content: bytes, staging: str, shard: int, rows: str
) -> None:
    assert parse_receipt(content, staging, shard, rows) is None


@pytest.mark.parametrize(
    ("size", "sha256", "is_same"), [(9, "x", True), (9, None, True), (8, "x", False), (9, "y", False)]
)
def test_a_staged_file_must_have_the_right_size_and_if_known_the_right_digest(
    size: int, sha256: str | None, is_same: bool
) -> None:
    file = ManifestFile(path="data/train-00003.parquet", size=9, sha256="x", split="train", rows=2)
    assert matches(StoredFile(file.path, size, sha256), file) == is_same


def test_files_of_a_shard_are_numbered_from_the_second_on() -> None:
    assert [data_path("train", 12, number) for number in range(2)] == [
        "data/train-00012.parquet",
        "data/train-00012-1.parquet",
    ]
