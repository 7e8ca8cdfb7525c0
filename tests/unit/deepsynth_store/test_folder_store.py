import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError, DataError, InternalError, TemporaryError
from deepsynth_store import MANIFEST, open_dataset, open_target, publish_folder
from support.generations import Generation, build_generation

SHARDS = {"one": 2, "two": 3, "three": 1}


@cache
def build(name: str) -> Generation:
    return build_generation(name, SHARDS[name])


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DEEPSYNTH_VOLUMES", str(tmp_path))
    return "pvc://data/sets/pages"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sets" / "pages"


def read_all(uri: str) -> dict[str, bytes]:
    reader = open_dataset(uri)
    return {file.path: reader.read(file.path) for file in reader.list_files()}


def run(uri: str, generation: Generation) -> str:
    return generation.run(open_target(uri, generation.digest))


def test_a_published_generation_is_what_readers_find(uri: str, root: Path) -> None:
    revision = run(uri, build("one"))
    assert read_all(uri) == build("one").expected
    assert open_dataset(uri).revision == revision
    assert sorted(path.name for path in root.iterdir()) == ["README.md", "data", "deepsynth"]


def test_staging_is_not_part_of_the_data_set(uri: str) -> None:
    run(uri, build("one"))
    target = open_target(uri, build("three").digest)
    target.prepare()
    build("three").render(target)
    assert read_all(uri) == build("one").expected
    assert {file.path: target.get(file.path) for file in target.list_staged()} == build("three").staged
    assert [file.path for file in target.list_staged("receipts/")] == ["receipts/00000.json"]


def test_the_next_generation_replaces_the_last_and_keeps_other_files(uri: str, root: Path) -> None:
    run(uri, build("one"))
    (root / "notes.md").write_bytes(b"mine")
    run(uri, build("three"))
    assert read_all(uri) == {**build("three").expected, "notes.md": b"mine"}


def test_publishing_again_changes_nothing(uri: str, root: Path) -> None:
    revision = run(uri, build("one"))
    before = (root / MANIFEST).stat().st_mtime_ns
    assert run(uri, build("one")) == revision
    assert (root / MANIFEST).stat().st_mtime_ns == before


def test_a_pinned_revision_that_is_gone_is_bad_data(uri: str) -> None:
    pinned = run(uri, build("one"))
    assert open_dataset(uri, pinned).revision == pinned
    run(uri, build("two"))
    with pytest.raises(DataError, match=f"pinned was {pinned}"):
        open_dataset(uri, pinned)


def test_a_reader_that_is_overtaken_stops_instead_of_mixing(uri: str) -> None:
    run(uri, build("one"))
    reader = open_dataset(uri)
    run(uri, build("two"))
    with pytest.raises(TemporaryError, match="changed while it was read"):
        reader.open("data/train-00000.parquet")


def test_a_finished_folder_is_published_as_it_is(uri: str, tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / "tokenizer").mkdir(parents=True)
    (source / "config.json").write_bytes(b"{}")
    (source / "tokenizer" / "vocab.json").write_bytes(b"[]")
    revision = publish_folder(source, uri)
    assert open_dataset(uri).revision == revision
    assert {path: content for path, content in read_all(uri).items() if path != MANIFEST} == {
        "config.json": b"{}",
        "tokenizer/vocab.json": b"[]",
    }


def test_a_folder_without_a_manifest_is_pinned_by_its_listing(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_bytes(b"{}")
    uri = f"file://{tmp_path}"
    pinned = open_dataset(uri).revision
    assert open_dataset(uri, pinned).list_files()[0].path == "data.jsonl"
    (tmp_path / "more.jsonl").write_bytes(b"{}")
    with pytest.raises(DataError, match="has changed"):
        open_dataset(uri, pinned)


def test_a_download_is_checked_against_the_manifest(uri: str, root: Path, tmp_path: Path) -> None:
    run(uri, build("one"))
    damaged = root / "data" / "train-00001.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    copied = open_dataset(uri).download("data/train-00000.parquet", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == build("one").expected["data/train-00000.parquet"]
    assert copied.size == len(build("one").expected["data/train-00000.parquet"])
    with pytest.raises(DataError, match=r"train-00001\.parquet of pvc://data/sets/pages is damaged"):
        open_dataset(uri).download("data/train-00001.parquet", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_disk_that_is_too_small_is_said_with_the_figures(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(uri, build("one"))
    monkeypatch.setattr("deepsynth_store.download.free_bytes", lambda _: 10)
    with pytest.raises(ConfigurationError, match=r"needs [\d,]+ bytes and .* has 10 free"):
        open_dataset(uri).download("data/train-00000.parquet", tmp_path / "copy")


def test_data_files_that_no_generation_wrote_are_refused(uri: str, root: Path) -> None:
    (root / "data").mkdir(parents=True)
    (root / "data" / "theirs.parquet").write_bytes(b"theirs")
    with pytest.raises(ConfigurationError, match=r"output\.uri: .*theirs\.parquet"):
        open_target(uri, build("one").digest).prepare()


def test_paths_outside_are_refused(uri: str) -> None:
    run(uri, build("one"))
    for path in ("../secret", "/etc/passwd"):
        with pytest.raises(DataError, match="not a path inside"):
            open_dataset(uri).open(path)
        with pytest.raises(DataError, match="not a path that can be staged"):
            open_target(uri, build("one").digest).put({path: b""})
    with pytest.raises(DataError, match="outside the data set"):
        open_target(uri, build("one").digest).publish(
            {}, {MANIFEST: b'{"files": [{"path": "../x", "size": 1, "sha256": "0"}]}'}
        )


def test_what_is_not_there_is_named(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"source\.uri: {uri} is not there"):
        open_dataset(uri, field="source.uri")
    run(uri, build("one"))
    with pytest.raises(DataError, match=rf"{uri} holds no file data/x\.parquet"):
        open_dataset(uri).open("data/x.parquet")
    target = open_target(uri, build("two").digest)
    with pytest.raises(DataError, match="not staged"):
        target.get("receipts/0.json")


def test_shards_that_are_missing_are_noticed_before_the_last_generation_is_touched(uri: str) -> None:
    run(uri, build("one"))
    with pytest.raises(DataError, match=r"shards/train-00000\.parquet is not staged"):
        open_target(uri, build("two").digest).publish(build("two").copies, build("two").files)
    assert read_all(uri) == build("one").expected


def test_staging_that_a_kill_left_after_publishing_is_removed_by_publishing_the_same_manifest(uri: str) -> None:
    revision = run(uri, build("one"))
    target = open_target(uri, build("one").digest)
    target.put({"receipts/00000.json": b"{}"})
    assert target.publish({}, {MANIFEST: build("one").files[MANIFEST]}) == revision
    assert list(target.list_staged()) == []


def test_a_manifest_that_does_not_list_what_is_published_is_an_internal_error(uri: str) -> None:
    with pytest.raises(InternalError, match=r"disagree about data/train-00000\.parquet"):
        open_target(uri, build("one").digest).publish({}, build("one").files)


def test_a_place_where_no_folder_can_be_made_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"output\.uri: .* cannot be written .*name a folder"):
        open_target("file:///proc/nowhere/pages", build("one").digest, field="spec.output.uri").prepare()


def test_a_folder_that_cannot_be_written_is_a_configuration_error(uri: str, root: Path) -> None:
    root.parent.mkdir(parents=True)
    root.write_bytes(b"a file stands here")
    with pytest.raises(ConfigurationError, match=r"output\.uri: .* cannot be written"):
        open_target(uri, build("one").digest).prepare()


def test_a_file_system_without_hard_links_gets_copies(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    run(uri, build("one"))
    assert read_all(uri) == build("one").expected


class Killed(BaseException):
    """The process ends here."""


STEPS = ("fsync", "link", "replace", "unlink", "mkdir")


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int | None], None]]:
    """From the n-th step on, nothing that touches the disk is done any more, not even in a `finally`."""
    state: dict[str, int | None] = {"left": None}

    def guard(step: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            if state["left"] is not None:
                state["left"] -= 1
                if state["left"] < 0:
                    raise Killed
            return None if step is os_fsync else step(*arguments, **options)  # fast: no power is cut here

        return guarded

    os_fsync = os.fsync
    for name in STEPS:
        monkeypatch.setattr(os, name, guard(getattr(os, name)))
    yield lambda left: state.update(left=left)
    state["left"] = None


@pytest.mark.parametrize("successor", ["two", "three"], ids=["the same goes on", "another takes over"])
def test_a_process_killed_at_any_step_neither_mixes_nor_loses(
    tmp_path: Path, kill_at: Callable[[int | None], None], successor: str
) -> None:
    finished, number = False, 0
    while not finished:
        uri = f"file://{tmp_path}/{number}"
        run(uri, build("one"))
        kill_at(number)
        try:
            run(uri, build("two"))
            finished = True
        except Killed:
            number += 1
        kill_at(None)
        assert read_or_refuse(uri) in (build("one").expected, build("two").expected, None)
        assert_receipts_vouch_for_their_shards(uri, build("two"))
        run(uri, build(successor))
        assert read_all(uri) == build(successor).expected
    assert number > 20


def assert_receipts_vouch_for_their_shards(uri: str, generation: Generation) -> None:
    target = open_target(uri, generation.digest)
    for receipt in target.list_staged("receipts/"):
        shard = receipt.path.replace("receipts/", "shards/train-").replace(".json", ".parquet")
        assert target.get(shard) == generation.staged[shard]


def test_generations_published_at_once_do_not_mix(uri: str) -> None:
    targets = [
        (generation, open_target(uri, generation.digest)) for generation in (build("one"), build("two"), build("three"))
    ]
    for generation, target in targets:
        target.prepare()
        generation.render(target)
    with ThreadPoolExecutor() as pool:
        revisions = list(pool.map(lambda pair: pair[1].publish(pair[0].copies, pair[0].files), targets))
    assert revisions == [hashlib.sha256(generation.files[MANIFEST]).hexdigest() for generation, _ in targets]
    assert read_all(uri) in [generation.expected for generation, _ in targets]


def read_or_refuse(uri: str) -> dict[str, bytes] | None:
    try:
        return read_all(uri)
    except TemporaryError:
        return None
