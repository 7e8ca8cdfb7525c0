from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_store import StoredFile
from deepsynth_store.core.download import write_download

EXPECTED = StoredFile("data/train.parquet", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
URI = "pvc://data/pages"


def test_a_download_is_written_and_returned_with_its_hash(tmp_path: Path) -> None:
    arrived: list[int] = []
    unknown = StoredFile(EXPECTED.path, 3, None)
    assert write_download([b"a", b"bc"], unknown, tmp_path / "new" / "copy", URI, arrived.append) == EXPECTED
    assert (tmp_path / "new" / "copy").read_bytes() == b"abc"
    assert arrived == [1, 2]


@pytest.mark.parametrize("content", [b"abx", b"ab", b"abcd"])
def test_a_damaged_download_leaves_no_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"data/train\.parquet of pvc://data/pages is damaged: expected 3 bytes"):
        write_download([content], EXPECTED, tmp_path / "copy", URI, None)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_is_reported_with_the_figures(tmp_path: Path) -> None:
    huge = StoredFile(EXPECTED.path, 10**18, None)
    message = r"data/train\.parquet needs 1,000,000,000,000,000,000 bytes and .* has [0-9,]+ free"
    with pytest.raises(ConfigurationError, match=message):
        write_download([b"abc"], huge, tmp_path / "copy", URI, None)
