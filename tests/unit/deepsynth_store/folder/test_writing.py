import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError, DataError, InternalError, TemporaryError
from deepsynth_store import MANIFEST, open_dataset, open_target
from support.store.generations import Generation
from unit.deepsynth_store.stored import ONE, THREE, TWO, read_all, run


def test_readers_find_the_published_generation(uri: str, root: Path) -> None:
    revision = run(uri, ONE)
    assert read_all(uri) == ONE.expected
    assert open_dataset(uri).revision == revision
    assert sorted(path.name for path in root.iterdir()) == ["README.md", "data", "deepsynth"]


def test_staging_is_not_part_of_the_dataset(uri: str) -> None:
    run(uri, ONE)
    target = open_target(uri, THREE.digest)
    target.prepare()
    THREE.render(target)
    assert read_all(uri) == ONE.expected
    assert {file.path: target.get(file.path) for file in target.list_staged()} == THREE.staged
    assert [file.path for file in target.list_staged("receipts/")] == ["receipts/00000.json"]


def test_the_next_generation_replaces_the_last_and_keeps_other_files(uri: str, root: Path) -> None:
    run(uri, ONE)
    (root / "notes.md").write_bytes(b"mine")
    run(uri, THREE)
    assert read_all(uri) == {**THREE.expected, "notes.md": b"mine"}


def test_publishing_again_changes_nothing(uri: str, root: Path) -> None:
    revision = run(uri, ONE)
    before = (root / MANIFEST).stat().st_mtime_ns
    assert run(uri, ONE) == revision
    assert (root / MANIFEST).stat().st_mtime_ns == before


def test_data_files_that_no_generation_wrote_are_refused(uri: str, root: Path) -> None:
    (root / "data").mkdir(parents=True)
    (root / "data" / "theirs.parquet").write_bytes(b"theirs")
    with pytest.raises(ConfigurationError, match=r"output\.uri: .*theirs\.parquet"):
        open_target(uri, ONE.digest).prepare()


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd"])
def test_a_path_outside_the_target_cannot_be_staged_or_published(uri: str, path: str) -> None:
    target = open_target(uri, ONE.digest)
    with pytest.raises(DataError, match="not a path that can be staged"):
        target.put({path: b""})
    with pytest.raises(DataError, match="outside the dataset"):
        target.publish({}, {MANIFEST: b'{"files": [{"path": "%s", "size": 1, "sha256": "0"}]}' % path.encode()})


def test_a_file_that_is_not_staged_is_named(uri: str) -> None:
    with pytest.raises(DataError, match=r"receipts/0\.json is not staged"):
        open_target(uri, TWO.digest).get("receipts/0.json")


def test_missing_shards_are_noticed_before_the_previous_generation_is_touched(uri: str) -> None:
    run(uri, ONE)
    with pytest.raises(DataError, match=r"shards/train-00000\.parquet is not staged"):
        open_target(uri, TWO.digest).publish(TWO.copies, TWO.files)
    assert read_all(uri) == ONE.expected


def test_publishing_again_removes_staging_that_a_killed_run_left(uri: str) -> None:
    revision = run(uri, ONE)
    target = open_target(uri, ONE.digest)
    target.put({"receipts/00000.json": b"{}"})
    assert target.publish({}, {MANIFEST: ONE.files[MANIFEST]}) == revision
    assert list(target.list_staged()) == []


def test_a_manifest_that_does_not_list_the_published_files_is_an_internal_error(uri: str) -> None:
    with pytest.raises(InternalError, match=r"disagree about data/train-00000\.parquet"):
        open_target(uri, ONE.digest).publish({}, ONE.files)


def test_a_folder_that_cannot_be_created_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"output\.uri: .* cannot be written .*name a folder"):
        open_target("file:///proc/nowhere/pages", ONE.digest, field="spec.output.uri").prepare()


def test_a_folder_that_cannot_be_written_is_a_configuration_error(uri: str, root: Path) -> None:
    root.parent.mkdir(parents=True)
    root.write_bytes(b"a file is here")
    with pytest.raises(ConfigurationError, match=r"output\.uri: .* cannot be written"):
        open_target(uri, ONE.digest).prepare()


def test_a_file_system_without_hard_links_gets_copies(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    run(uri, ONE)
    assert read_all(uri) == ONE.expected


class Killed(BaseException):
    """The process ends here."""


STEPS = ("fsync", "link", "replace", "unlink", "mkdir")


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int | None], None]]:
    """From the n-th step on, nothing touches the disk any more, not even in a `finally`."""
    state: dict[str, int | None] = {"left": None}

    def guard(step: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            if state["left"] is not None:
                state["left"] -= 1
                if state["left"] < 0:
                    raise Killed
            return (
                None if step is os_fsync else step(*arguments, **options)
            )  # skipped to be fast: no test cuts the power

        return guarded

    os_fsync = os.fsync
    for name in STEPS:
        monkeypatch.setattr(os, name, guard(getattr(os, name)))
    yield lambda left: state.update(left=left)
    state["left"] = None


@pytest.mark.parametrize("successor", [TWO, THREE], ids=["the same continues", "another takes over"])
def test_a_process_killed_at_any_step_neither_mixes_nor_loses_files(
    tmp_path: Path, kill_at: Callable[[int | None], None], successor: Generation
) -> None:
    finished, number = False, 0
    while not finished:
        uri = f"file://{tmp_path}/{number}"
        run(uri, ONE)
        kill_at(number)
        try:
            run(uri, TWO)
            finished = True
        except Killed:
            number += 1
        kill_at(None)
        assert read_or_refuse(uri) in (ONE.expected, TWO.expected, None)
        assert_receipts_match_their_shards(uri, TWO)
        run(uri, successor)
        assert read_all(uri) == successor.expected
    assert number > 20


def assert_receipts_match_their_shards(uri: str, generation: Generation) -> None:
    target = open_target(uri, generation.digest)
    for receipt in target.list_staged("receipts/"):
        shard = receipt.path.replace("receipts/", "shards/train-").replace(".json", ".parquet")
        assert target.get(shard) == generation.staged[shard]


def test_generations_published_at_once_do_not_mix(uri: str) -> None:
    targets = [(generation, open_target(uri, generation.digest)) for generation in (ONE, TWO, THREE)]
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
