import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from deepsynth_api.errors import ConfigurationError, DataError, TemporaryError
from deepsynth_store import open_dataset, open_target
from support.store.generations import build_generation, build_parquet
from support.store.hub_server.faults import FaultKind
from support.store.hub_server.repository import Blob
from support.store.hub_server.server import HubServer

REPO = "someone/texts"
URI = f"hf://datasets/{REPO}"
TEXTS = [f"{row} {'x' * 2000}" for row in range(400)]


@pytest.fixture
def parquet(hub: HubServer) -> bytes:
    """A dataset that DeepSynth did not write, without a manifest: 4 row groups, about 800 kB."""
    content = build_parquet_uncompressed()
    add_files(hub, {"data/train-00000.parquet": Blob(content, is_lfs=True), "README.md": Blob(b"Texts.", is_lfs=False)})
    return content


def build_parquet_uncompressed() -> bytes:
    import pyarrow as pa

    sink = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS}), sink, row_group_size=100, compression="none", use_dictionary=False)
    return sink.getvalue()


def add_files(hub: HubServer, files: dict[str, Blob]) -> None:
    repository = hub.hub.repositories.get(("dataset", REPO)) or hub.create_repository(REPO)
    repository.find("main").tree.update(files)
    hub.hub.objects.update({blob.sha256: blob.content for blob in files.values() if blob.is_lfs})


def test_one_row_group_is_read_without_the_others(hub: HubServer, parquet: bytes) -> None:
    with open_dataset(URI).open("data/train-00000.parquet") as source, pq.ParquetFile(source) as file:
        texts = file.read_row_group(2)["text"].to_pylist()
    assert texts == TEXTS[200:300]
    assert hub.bytes_sent < len(parquet) / 2


def test_files_are_listed_with_their_sizes_and_hashes(hub: HubServer, parquet: bytes) -> None:
    listed = open_dataset(URI).list_files()
    assert [file.path for file in listed] == [".gitattributes", "README.md", "data/train-00000.parquet"]
    assert listed[2].size == len(parquet)
    assert listed[2].sha256 == Blob(parquet, is_lfs=True).sha256
    assert [file.path for file in open_dataset(URI).list_files("data/")] == ["data/train-00000.parquet"]


def test_a_pinned_revision_does_not_change(hub: HubServer) -> None:
    first, second = build_generation("one"), build_generation("two", shards=1)
    pages = "hf://datasets/someone/pages"
    pinned = first.run(open_target(pages, first.digest))
    reader = open_dataset(pages)
    second.run(open_target(pages, second.digest))
    assert reader.revision == pinned
    for path, content in first.expected.items():
        assert reader.read(path) == content
        assert open_dataset(pages, pinned).read(path) == content
    assert open_dataset(pages).revision != pinned


@pytest.mark.parametrize("kind", ["throttle", "unavailable", "cut", "lost", "refuse"])
@pytest.mark.parametrize("route", ["resolve", "lfs_get"])
def test_a_download_survives_faults(
    hub: HubServer, parquet: bytes, tmp_path: Path, kind: FaultKind, route: str
) -> None:
    arrived: list[int] = []
    hub.fail_next(route, kind, times=3)
    file = open_dataset(URI).download("data/train-00000.parquet", tmp_path / "a" / "train.parquet", arrived.append)
    assert (tmp_path / "a" / "train.parquet").read_bytes() == parquet
    assert file.sha256 == Blob(parquet, is_lfs=True).sha256
    assert sum(arrived) == len(parquet)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["train.parquet"]


def test_a_damaged_download_leaves_no_file(hub: HubServer, parquet: bytes, tmp_path: Path) -> None:
    hub.hub.objects[Blob(parquet, is_lfs=True).sha256] = parquet[:-1] + b"?"
    with pytest.raises(DataError, match=rf"data/train-00000\.parquet of {URI} is damaged"):
        open_dataset(URI).download("data/train-00000.parquet", tmp_path / "train.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_range_that_never_arrives_is_given_up(hub: HubServer, parquet: bytes) -> None:
    hub.fail_next("lfs_get", "cut", times=1000)
    with pytest.raises(TemporaryError, match=rf"could not read data/train-00000\.parquet of {URI}"):
        open_dataset(URI).read("data/train-00000.parquet")


def test_a_dataset_that_is_a_script_is_read_in_its_converted_form(hub: HubServer) -> None:
    add_files(hub, {"texts.py": Blob(b"import datasets", is_lfs=False)})
    repository = hub.repository(REPO)
    converted = Blob(build_parquet(["a", "b"]), is_lfs=True)
    lines = [
        {"key": "header", "value": {"summary": "Update parquet files"}},
        {"key": "lfsFile", "value": {"path": "default/train/0000.parquet", "oid": converted.sha256}},
    ]
    repository.refs["refs/convert/parquet"] = repository.refs["main"]
    sha = repository.commit("refs/convert/parquet", lines, {converted.sha256: converted.content}).sha
    hub.hub.objects[converted.sha256] = converted.content
    source = open_dataset(URI)
    assert source.revision == sha
    assert source.read("default/train/0000.parquet") == converted.content
    assert open_dataset(URI, "refs/convert/parquet").revision == sha
    assert open_dataset(URI, "main").revision == repository.refs["main"]


def test_a_gated_dataset_is_reported_with_the_remedy(hub: HubServer, parquet: bytes) -> None:
    hub.repository(REPO).gated = True
    with pytest.raises(ConfigurationError, match=f"{URI} is gated; accept its conditions"):
        open_dataset(URI)


def test_the_offline_switch_of_the_library_is_named(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigurationError, match="while HF_HUB_OFFLINE is set"):
        open_dataset(URI)
    assert hub.requests == []


def test_a_missing_dataset_revision_or_file_is_named(hub: HubServer, parquet: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"source\.uri: hf://datasets/someone/other does not exist"):
        open_dataset("hf://datasets/someone/other", field="source.uri")
    with pytest.raises(ConfigurationError, match="no such revision"):
        open_dataset(URI, "v9")
    with pytest.raises(DataError, match=rf"{URI} holds no file data/test\.parquet"):
        open_dataset(URI).open("data/test.parquet")
