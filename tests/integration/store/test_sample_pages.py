"""A few pages of a stored dataset, for a user who looks at it: few requests, within seconds, else the reason."""

import io
import socket
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import ConfigurationError, DataError, TemporaryError
from deepsynth_render.documents.sample_pages import fetch_sample_pages
from deepsynth_store import publish_folder
from deepsynth_store.objects.requests import ObjectCalls, StoredObject
from support.store.generations import build_parquet
from support.store.object_servers.fault_proxy import FaultProxy
from support.store.pages import build_page_rows, build_page_shard

MAX_BYTES = 6_000_000
ROWS = build_page_rows(150, image_bytes=50_000)


def publish(uri: str, folder: Path, shard: bytes) -> None:
    (folder / "data").mkdir()
    for number in range(2):
        (folder / f"data/train-0000{number}.parquet").write_bytes(shard)
    publish_folder(folder, uri)


def damage(shard: bytes, *, from_end: bool = False) -> bytes:
    """With other bytes in the first page header, or in the footer."""
    start = len(shard) - 200 if from_end else 4
    return shard[:start] + b"\xff" * 150 + shard[start + 150 :]


def build_empty_group(rows: list[dict[str, Any]]) -> bytes:
    """A shard whose first row group is empty."""
    table, sink = pa.Table.from_pylist(rows[:3]), io.BytesIO()
    with pq.ParquetWriter(sink, table.schema) as writer:
        writer.write_table(table.slice(0, 0))
        writer.write_table(table)
    return sink.getvalue()


def replace_column(name: str, values: pa.Array) -> bytes:
    """A shard of one page."""
    table, sink = pa.Table.from_pylist(ROWS[:1]), io.BytesIO()
    pq.write_table(table.set_column(table.column_names.index(name), name, values), sink)
    return sink.getvalue()


def show(uri: str, max_bytes: int = MAX_BYTES) -> list[str]:
    [(name, content)] = fetch_sample_pages(uri, max_bytes)
    assert name == "data/sample.parquet"
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    images = {row["text"]: row["image"] for row in ROWS}
    assert all(row["image"] == images[row["text"]] for row in rows)
    return [row["text"].partition(" words")[0] for row in rows]


@pytest.fixture(params=["folder", "hub", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return f"file://{tmp_path}/stored"
    request.getfixturevalue(request.param)
    return str(request.getfixturevalue("s3_uri")) if request.param == "s3" else "hf://datasets/someone/pages"


def test_pages_with_text_of_all_stretches_of_the_first_rows_are_shown(uri: str, tmp_path: Path) -> None:
    publish(uri, tmp_path, build_page_shard(ROWS))
    shown = show(uri)
    assert shown == [f"page {number}" for number in (2, 11, 17, 26, 32, 41, 50, 56)]


def test_pages_that_do_not_fit_are_skipped(uri: str, tmp_path: Path) -> None:
    publish(uri, tmp_path, build_page_shard(ROWS))
    assert len(show(uri, max_bytes=170_000)) == 3


def test_a_page_that_does_not_fit_leaves_the_room_to_smaller_ones(tmp_path: Path) -> None:
    rows = [*build_page_rows(1, image_bytes=200_000), *build_page_rows(3)[1:]]
    publish(f"file://{tmp_path}/stored", tmp_path, build_page_shard(rows))
    [(_, content)] = fetch_sample_pages(f"file://{tmp_path}/stored", 100_000)
    shown = pq.read_table(io.BytesIO(content)).column("summary").to_pylist()
    assert shown == ["summary 1", "summary 2"]


def test_few_ranges_are_read_and_not_the_whole_file(
    s3: FaultProxy, s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(s3_uri, tmp_path, build_page_shard(build_page_rows(600, image_bytes=50_000), group_rows=100))
    read, lengths = ObjectCalls.read_range, list[int]()

    def count(calls: ObjectCalls, file: StoredObject, start: int, length: int) -> memoryview:
        lengths.append(length)
        return read(calls, file, start, length)

    monkeypatch.setattr(ObjectCalls, "read_range", count)
    s3.requests.clear()
    fetch_sample_pages(s3_uri, MAX_BYTES)
    assert len(lengths) <= 6
    assert sum(lengths) < 7_000_000, "one row group of 30 MB"
    assert len(s3.requests) <= 10


def test_a_store_that_never_answers_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch, s3: FaultProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(TemporaryError, match=r"s3://bucket/pages has not answered within 1 s"):
            fetch_sample_pages("s3://bucket/pages", MAX_BYTES, max_seconds=1.0)
        assert time.monotonic() - began < 20


def test_a_rate_limit_is_not_waited_out(s3: FaultProxy, s3_uri: str) -> None:
    s3.retry_after = "60"
    s3.fail_next("*", "429", times=9)
    with pytest.raises(TemporaryError, match="the object store's rate limit is reached; try again later"):
        fetch_sample_pages(s3_uri, MAX_BYTES)


def test_a_refusal_is_an_error_with_the_remedy(s3: FaultProxy, s3_uri: str) -> None:
    s3.refuse = b"<Error><Code>AccessDenied</Code></Error>"
    with pytest.raises(ConfigurationError, match="access was refused"):
        fetch_sample_pages(s3_uri, MAX_BYTES)


@pytest.mark.parametrize(
    ("shard", "says"),
    [
        (b"no parquet", "cannot be shown"),
        (build_parquet(["text"]), "it has no column image"),
        (build_page_shard(ROWS)[:-9] + b"damaged!!", "cannot be shown"),
        (damage(build_page_shard(ROWS), from_end=True), "cannot be shown"),
        (damage(build_page_shard(ROWS)), "cannot be shown"),
        (build_empty_group(ROWS), "cannot be shown: its first row group has no rows"),
        (replace_column("text", pa.array([b"\xff"]).view(pa.string())), "cannot be shown: 'utf-8' codec"),
        (replace_column("text", pa.array([1])), "cannot be shown"),
        (replace_column("image", pa.array(["page.png"])), "cannot be shown"),
        (replace_column("image", pa.array([{"bytes": bytes(MAX_BYTES + 1)}])), "each of its first pages has more than"),
    ],
)
def test_a_dataset_without_pages_names_what_is_wrong(s3_uri: str, tmp_path: Path, shard: bytes, says: str) -> None:
    publish(s3_uri, tmp_path, shard)
    with pytest.raises(DataError, match=rf"data/train-00000\.parquet of s3://.* {says}|{says}"):
        fetch_sample_pages(s3_uri, MAX_BYTES)


def test_a_dataset_without_files_is_named(s3_uri: str, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    publish_folder(tmp_path, s3_uri)
    with pytest.raises(DataError, match=r"holds no pages: there is no data/\*\.parquet"):
        fetch_sample_pages(s3_uri, MAX_BYTES)
