"""Files by key that many processes fill, read and evict at the same time."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepsynth_api.errors import DataError, TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_store import StoredFile
from deepsynth_store.cache import entries, filling, uses
from deepsynth_store.cache.files import FileCache, Item, build_key
from deepsynth_store.core.atomic import compute_sha256

Process = subprocess.Popen[bytes]

SIZE = 1000
HOUR = 3600.0


def name_key(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Opened"]:
    monkeypatch.setattr(uses, "_LOOK_SECONDS", 0.05)
    found = Opened(tmp_path)
    yield found
    for cache in found.caches:
        cache.close()


class Opened:
    """Caches of several processes in one folder. made: keys in the order in which they were made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "inputs-v1"
        self.caches: list[FileCache] = []
        self.notes: list[str] = []
        self.made: list[str] = []

    def open(self, limit: int = 10**9) -> FileCache:
        cache = FileCache(self.folder, limit, self.notes.append)
        self.caches.append(cache)
        return cache

    def build_item(self, number: int, *, content: bytes | None = None) -> Item:
        def make(path: Path) -> None:
            self.made.append(name_key(number))
            path.write_bytes(number.to_bytes(1, "big") * SIZE if content is None else content)

        return Item(name_key(number), SIZE, make)

    def fetch(self, cache: FileCache, *numbers: int) -> dict[str, Path | None]:
        items = [self.build_item(number) for number in numbers]
        return {item.key: path for item, path in cache.fetch(items, lambda: None)}

    def age(self, seconds: float) -> None:
        """As if all that is in the folder had happened so much earlier."""
        for path in self.root.rglob("*"):
            then = path.stat().st_mtime - seconds
            if not path.name.count(".") or path.suffix == ".json" or "filling" in path.parts:
                os.utime(path, (then, then))


def test_what_one_attempt_has_fetched_is_there_for_the_next(opened: Opened) -> None:
    first = opened.open()
    paths = opened.fetch(first, 1, 2)
    first.close()
    second = opened.open()
    assert opened.fetch(second, 2, 1) == paths
    assert opened.made == [name_key(1), name_key(2)]
    assert (first.fetched, first.reused, second.fetched, second.reused) == (2 * SIZE, 0, 0, 2 * SIZE)
    assert {path.read_bytes() for path in paths.values() if path} == {b"\1" * SIZE, b"\2" * SIZE}


def test_the_same_file_in_two_places_has_one_key_and_another_revision_another_one() -> None:
    known, unknown = StoredFile("a.parquet", 5, "ab" * 32), StoredFile("a.parquet", 5, None)
    assert build_key("file", known, "hf://a/b", "1") == build_key("file", known, "s3://c/d", "2")
    assert build_key("file", unknown, "hf://a/b", "1") != build_key("file", unknown, "hf://a/b", "2")
    assert build_key("file", known, "hf://a/b", "1") != build_key("arrow", known, "hf://a/b", "1")


@pytest.mark.parametrize("change", ["flip", "cut", "delete", "pipe"])
def test_a_damaged_file_is_fetched_again_and_noted(opened: Opened, change: str) -> None:
    (path,) = opened.fetch(opened.open(), 1).values()
    assert path
    content = bytearray(path.read_bytes())
    path.unlink()
    if change == "flip":
        content[7] ^= 1
        path.write_bytes(content)
    elif change == "cut":
        path.write_bytes(content[:-1])
    elif change == "pipe":
        os.mkfifo(path)
    (path,) = opened.fetch(opened.open(), 1).values()
    assert path
    assert path.read_bytes() == b"\1" * SIZE
    assert opened.made == [name_key(1)] * 2
    assert len(opened.notes) == (change != "delete")


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"sha256": "../../other", "size": 1, "mtimeNs": 1, "verified": 1}',
        b'{"sha256": {}, "size": 1, "mtimeNs": 1, "verified": 1}',
        b'{"sha256": "a\\u0000b", "size": 1, "mtimeNs": 1, "verified": 1}',
    ],
)
def test_a_damaged_record_costs_one_more_fetch(opened: Opened, record: bytes) -> None:
    opened.fetch(opened.open(), 1)
    (opened.root / f"{name_key(1)}.json").write_bytes(record)
    assert opened.fetch(opened.open(), 1)[name_key(1)]
    assert len(opened.made) == 2


def test_files_of_version_0_2_are_used(opened: Opened) -> None:
    (path,) = opened.fetch(opened.open(), 1).values()
    assert path
    record = opened.root / f"{name_key(1)}.json"
    known = json.loads(record.read_text())
    old = path.rename(path.with_name(f"{name_key(1)}.{known['sha256']}"))
    del known["id"]
    record.write_text(json.dumps(known))
    assert opened.fetch(opened.open(), 1)[name_key(1)] == old


def test_a_file_that_changed_without_trace_is_found_after_a_week(opened: Opened) -> None:
    (path,) = opened.fetch(opened.open(), 1).values()
    assert path
    before = path.stat().st_mtime_ns
    path.write_bytes(b"x" * SIZE)
    os.utime(path, ns=(before, before))
    opened.fetch(opened.open(), 1)
    assert len(opened.made) == 1
    record = opened.root / f"{name_key(1)}.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "verified": time.time() - 8 * 24 * HOUR}))
    (path,) = opened.fetch(opened.open(), 1).values()
    assert len(opened.made) == 2
    assert path
    assert path.read_bytes() == b"\1" * SIZE


def test_a_whole_file_with_another_time_is_read_once_and_kept(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = opened.fetch(opened.open(), 1).values()
    assert path
    os.utime(path, (1, 1))
    opened.fetch(opened.open(), 1)
    monkeypatch.setattr(entries, "compute_sha256", lambda _: pytest.fail("it is read again"))
    opened.fetch(opened.open(), 1)
    assert len(opened.made) == 1


def test_the_least_recently_used_files_are_evicted(opened: Opened) -> None:
    first = opened.open()
    opened.fetch(first, 1)
    opened.age(HOUR)
    opened.fetch(first, 2, 3)
    opened.age(HOUR)
    opened.fetch(first, 1)  # used again
    first.close()
    opened.age(HOUR)
    opened.fetch(opened.open(limit=4 * SIZE), 4)
    present = {path.name.partition(".")[0] for path in opened.root.glob("*.json")}
    assert name_key(1) in present
    assert name_key(4) in present
    assert len(present) == 3


def test_files_that_a_living_process_needs_are_not_evicted(opened: Opened) -> None:
    user = opened.open()
    paths = opened.fetch(user, 1, 2)
    opened.age(0.9 * HOUR)
    second = opened.open(limit=3 * SIZE)
    assert opened.fetch(second, 3) == {name_key(3): None}
    assert all(path and path.exists() for path in paths.values())
    assert "takes no more files: it is full: runs use 2," in opened.notes[0]
    user.close()
    assert opened.fetch(opened.open(limit=3 * SIZE), 3)[name_key(3)]


def test_a_killed_process_keeps_its_files_for_an_hour(opened: Opened) -> None:
    opened.fetch(opened.open(), 1, 2)  # never closed
    opened.age(0.9 * HOUR)
    assert opened.fetch(opened.open(limit=3 * SIZE), 3)[name_key(3)] is None
    opened.age(HOUR)
    assert opened.fetch(opened.open(limit=3 * SIZE), 3)[name_key(3)]


def test_a_file_that_was_used_just_now_is_not_evicted(opened: Opened) -> None:
    first = opened.open()
    opened.fetch(first, 1)
    first.close()
    assert opened.fetch(opened.open(limit=SIZE), 2)[name_key(2)] is None


def test_a_file_that_a_process_begins_to_use_meanwhile_is_not_evicted(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened.open()
    (path,) = opened.fetch(first, 1).values()
    first.close()
    opened.age(HOUR)
    evicting, user = opened.open(limit=SIZE), opened.open()
    hide = Path.rename

    def use_before(record: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", hide)
        opened.fetch(user, 1)
        return hide(record, target)

    monkeypatch.setattr(Path, "rename", use_before)
    assert opened.fetch(evicting, 2)[name_key(2)] is None
    assert path
    assert path.exists()
    assert opened.fetch(user, 1)[name_key(1)] == path
    assert opened.made == [name_key(1)]


def test_files_that_a_restarted_process_has_links_to_are_held(opened: Opened) -> None:
    first = opened.open()
    paths = opened.fetch(first, 1)
    second, link = opened.open(), opened.folder / "link"
    link.symlink_to(next(path for path in paths.values() if path))
    second.hold([link, opened.folder])
    first.close()
    opened.age(0.9 * HOUR)
    assert opened.fetch(opened.open(limit=2 * SIZE), 2)[name_key(2)] is None


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), TemporaryError("no space left", reason=Reason.DISK_FULL)]
)
def test_a_full_disk_is_noted_and_costs_no_more_than_the_cache(opened: Opened, error: Exception) -> None:
    cache = opened.open()
    opened.fetch(cache, 1)

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise error

    ((_, found),) = cache.fetch([Item(name_key(2), SIZE, fail)], lambda: None)
    assert found is None
    assert opened.fetch(cache, 1, 3)[name_key(1)]
    assert opened.made == [name_key(1)]
    assert len(opened.notes) == 1
    assert not list((opened.root / "filling").iterdir())


def fail_full(*_: object) -> None:
    raise TemporaryError("no space left", reason=Reason.DISK_FULL)


def test_where_no_use_can_be_noted_nothing_is_used(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = opened.open()
    opened.fetch(cache, 1)

    monkeypatch.setattr(uses, "write_file_atomically", fail_full)
    assert opened.fetch(cache, 1, 2) == {name_key(1): None, name_key(2): None}
    assert len(opened.notes) == 1


def test_a_whole_file_is_used_where_nothing_can_be_written(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = opened.open()
    (path,) = opened.fetch(cache, 1).values()
    assert path
    os.utime(path, (1, 1))
    monkeypatch.setattr(entries, "write_file_atomically", fail_full)
    assert opened.fetch(cache, 1)[name_key(1)] == path


def test_a_fault_of_the_source_ends_the_attempt(opened: Opened) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise DataError("damaged")

    with pytest.raises(DataError):
        list(opened.open().fetch([Item(name_key(1), SIZE, fail)], lambda: None))
    assert not list((opened.root / "filling").iterdir())


PROGRAM = """
import sys, time
from pathlib import Path
from deepsynth_store.cache.files import FileCache, Item

folder, log, count, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])

def build(number):
    def make(path):
        path.write_bytes(bytes([number]) * 1000)
        with log.open("a") as file:
            file.write(f"{number}\\n")
        time.sleep(seconds)
    return Item(f"{number:064x}", 1000, make)

cache = FileCache(folder, 10**9, print)
(folder / sys.argv[5]).touch()
while len(list(folder.glob("ready-*"))) < int(sys.argv[6]):
    time.sleep(0.01)
for item, path in cache.fetch([build(number) for number in range(1, count + 1)], lambda: None):
    assert path.read_bytes() == bytes([int(item.key, 16)]) * 1000
"""
"""Fills the first keys, once all processes are ready."""


def start_processes(folder: Path, log: Path, processes: int, *, files: int, seconds: float) -> list[Process]:
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, folder, log, str(files), str(seconds), f"ready-{number}", str(processes)]
        )
        for number in range(processes)
    ]


def test_what_a_killed_process_left_half_is_not_used(opened: Opened, tmp_path: Path) -> None:
    log = tmp_path / "log"
    (process,) = start_processes(opened.folder, log, 1, files=1, seconds=600)
    while not log.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    opened.age(HOUR / 2)
    cache = opened.open()
    assert opened.fetch(cache, 1)[name_key(1)]
    assert opened.made == [name_key(1)]
    assert len(list((opened.root / "filling").iterdir())) == 1
    opened.age(HOUR)
    opened.fetch(opened.open(), 2)
    assert not list((opened.root / "filling").iterdir())


def test_processes_that_begin_together_share_the_work(opened: Opened, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for process in start_processes(opened.folder, log, 3, files=8, seconds=0.1):
        assert process.wait(60) == 0
    made = log.read_text().split()
    assert set(made) == {str(number) for number in range(1, 9)}
    assert len(made) <= 12  # 8 without collisions, 24 if nobody looked
    assert not list((opened.root / "filling").iterdir())


def test_a_file_on_its_way_is_waited_for_as_long_as_it_grows(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = opened.open()
    other = opened.root / "filling" / f"{name_key(1)}.{SIZE}.other"
    other.mkdir()
    waits: list[int] = []
    passed = time.monotonic

    def wait(_: float) -> None:
        waits.append(1)
        if len(waits) == 1:
            (other / "content").write_bytes(b"x")
        monkeypatch.setattr(time, "monotonic", lambda: passed() + len(waits) * 0.7 * filling._SILENT_SECONDS)

    monkeypatch.setattr(time, "sleep", wait)
    assert list(opened.fetch(cache, 1, 2)) == [name_key(2), name_key(1)]
    assert len(waits) == 3


def test_uses_of_a_living_process_are_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "_TOUCH_SECONDS", 0.05)
    mine, other = uses.Uses(tmp_path), uses.Uses(tmp_path)
    mine.add(["a"])
    path = mine._path
    os.utime(path, (1, 1))
    deadline = time.monotonic() + 10
    while path.stat().st_mtime < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert other.list_all() == {"a"}
    mine.close()
    assert other.list_all() == set()
    other.close()


def test_uses_are_touched_on_a_full_disk_and_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "_TOUCH_SECONDS", 0.05)
    mine = uses.Uses(tmp_path)
    monkeypatch.setattr(uses, "write_file_atomically", fail_full)
    wait_until_touched(mine)
    mine._path.unlink()
    time.sleep(0.2)  # it cannot be written now
    monkeypatch.undo()
    monkeypatch.setattr(uses, "_TOUCH_SECONDS", 0.05)
    mine.add(["a"])
    wait_until_touched(mine)
    mine.close()


def wait_until_touched(mine: uses.Uses) -> None:
    os.utime(mine._path, (1, 1))
    deadline = time.monotonic() + 10
    while mine._path.stat().st_mtime < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_uses_are_touched_at_once_after_a_sleep_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "_LOOK_SECONDS", 0.05)
    mine = uses.Uses(tmp_path)
    awake = time.time
    monkeypatch.setattr(time, "time", lambda: awake() + HOUR)
    wait_until_touched(mine)
    mine.close()


@pytest.mark.parametrize("content", ["5", "[[1]]", "[" * 100_000, "[", '{"a": 1}'])
def test_damaged_uses_of_another_process_are_ignored(opened: Opened, content: str) -> None:
    first = opened.open()
    opened.fetch(first, 1)
    first.close()
    opened.age(HOUR)
    cache = opened.open(limit=SIZE)
    (opened.root / "uses" / "other.json").write_text(content)
    assert opened.fetch(cache, 2)[name_key(2)]


def test_a_file_that_ends_while_another_process_looks_at_it_is_not_a_fault(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = opened.open()
    other = opened.root / "filling" / f"{name_key(1)}.{SIZE}.other"
    other.mkdir()
    (other / "content").write_bytes(b"x")
    look = Path.stat

    def end_after(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = look(path, follow_symlinks=follow_symlinks)
        if path == other:
            monkeypatch.setattr(Path, "stat", look)
            shutil.rmtree(other)
        return found

    monkeypatch.setattr(Path, "stat", end_after)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert opened.fetch(cache, 1)[name_key(1)]
    assert not opened.notes


@pytest.mark.parametrize("name", [".DS_Store", ".nfs0001", "lost+found", "a.b.c"])
def test_files_of_other_programs_are_ignored(opened: Opened, name: str) -> None:
    cache = opened.open()
    (opened.root / "filling" / name).touch()
    assert opened.fetch(cache, 1)[name_key(1)]


def test_a_process_that_is_suspended_before_it_fills_continues(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = opened.open()
    make = Path.mkdir

    def suspend(folder: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        make(folder, mode, parents, exist_ok)
        if folder.parent.name == "filling":
            then = time.time() - filling._SILENT_SECONDS - 1
            os.utime(folder, (then, then))

    monkeypatch.setattr(Path, "mkdir", suspend)
    assert opened.fetch(cache, 1)[name_key(1)]


def test_what_a_process_makes_while_another_one_evicts_it_is_kept(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened.open()
    opened.fetch(first, 1)
    first.close()
    opened.age(HOUR)
    evicting, user = opened.open(limit=2 * SIZE), opened.open()
    look, looks, used = evicting._uses.list_all, list[int](), dict[str, Path | None]()

    def use_after() -> set[str]:
        found = look()
        looks.append(1)
        if len(looks) == 2:  # the record is hidden, and nobody needs it
            used.update(opened.fetch(user, 1))
        return found

    monkeypatch.setattr(evicting._uses, "list_all", use_after)
    assert opened.fetch(evicting, 2)[name_key(2)]
    path = used[name_key(1)]
    assert path
    assert path.exists()
    assert opened.fetch(user, 1)[name_key(1)] == path


def test_what_another_process_has_fetched_again_is_not_taken_for_the_damaged_file(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    (damaged,) = opened.fetch(opened.open(), 1).values()
    assert damaged
    damaged.write_bytes(b"x" * SIZE)
    quick, slow = opened.open(), opened.open()
    repaired: list[Path | None] = []

    def repair_after(path: Path) -> str:
        monkeypatch.setattr(entries, "compute_sha256", compute_sha256)
        found = compute_sha256(path)
        repaired.extend(opened.fetch(quick, 1).values())
        return found

    monkeypatch.setattr(entries, "compute_sha256", repair_after)
    opened.fetch(slow, 1)
    assert repaired[0]
    assert repaired[0].exists()


@pytest.mark.parametrize("fault", [RuntimeError("x"), ValueError("x"), PermissionError(1, "not permitted")])
@pytest.mark.parametrize("place", ["list", "_write_record"])
def test_a_fault_of_the_folder_costs_no_more_than_the_folder(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, place: str, fault: Exception
) -> None:
    cache = opened.open()

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(cache._entries, place, fail)
    assert opened.fetch(cache, 1, 2) == {name_key(1): None, name_key(2): None}
    assert len(opened.notes) == 1
    assert "takes no more files" in opened.notes[0]


@pytest.mark.parametrize("ahead", [2 * HOUR, 30 * 24 * HOUR])
def test_a_killed_process_is_not_waited_for_after_the_clock_was_set_back(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    cache = opened.open()
    other = opened.root / "filling" / f"{name_key(1)}.{SIZE}.other"
    other.mkdir()
    os.utime(other, (time.time() + ahead,) * 2)
    waits: list[int] = []
    passed = time.monotonic

    def wait(_: float) -> None:
        waits.append(1)
        monkeypatch.setattr(time, "monotonic", lambda: passed() + len(waits) * filling._SILENT_SECONDS / 2)
        assert len(waits) < 5

    monkeypatch.setattr(time, "sleep", wait)
    assert opened.fetch(cache, 1)[name_key(1)]


def test_files_and_uses_of_before_the_clock_was_set_back_are_evicted(opened: Opened) -> None:
    opened.fetch(opened.open(), 1)  # never closed
    opened.age(-30 * 24 * HOUR)
    assert opened.fetch(opened.open(limit=SIZE), 2)[name_key(2)] is None
    for path in (opened.root / "uses").iterdir():
        os.utime(path, (path.stat().st_mtime - HOUR,) * 2)
    assert opened.fetch(opened.open(limit=SIZE), 2)[name_key(2)]


def test_what_killed_processes_have_reserved_does_not_fill_the_folder(opened: Opened) -> None:
    cache = opened.open(limit=5 * SIZE)
    for number in range(1, 5):
        folder = opened.root / "filling" / f"{name_key(number)}.{3 * SIZE}.other"
        folder.mkdir()
        (folder / "content").write_bytes(b"x" * (SIZE + SIZE // 2))
    opened.age(600)
    assert opened.fetch(cache, 5)[name_key(5)]
    assert len(list((opened.root / "filling").iterdir())) == 2  # of 6,000 bytes, 4,000 may stay
    assert not opened.notes


def test_a_note_says_that_files_on_their_way_fill_the_folder(opened: Opened) -> None:
    cache = opened.open(limit=5 * SIZE)
    (opened.root / "filling" / f"{name_key(1)}.{5 * SIZE}.other").mkdir()
    assert opened.fetch(cache, 2)[name_key(2)] is None
    assert "runs use 0 bytes now, and 6,000 bytes are for files on their way" in opened.notes[0]


def test_a_file_that_becomes_larger_than_its_room_is_not_kept_above_the_limit(opened: Opened) -> None:
    cache = opened.open(limit=2 * SIZE)
    small = Item(name_key(1), 1, lambda path: path.write_bytes(b"x" * 2 * SIZE))
    large = Item(name_key(1), 1, lambda path: path.write_bytes(b"x" * 2 * SIZE + b"x"))
    assert [path for _, path in cache.fetch([large], lambda: None)] == [None]
    assert "sizeLimit" in opened.notes[0]
    assert all(path for _, path in opened.open(limit=2 * SIZE).fetch([small], lambda: None))


def test_links_of_a_restarted_process_are_held_behind_a_symlink(opened: Opened, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.symlink_to(opened.folder, target_is_directory=True)
    cache = FileCache(place, 10**9, opened.notes.append)
    opened.caches.append(cache)
    paths = opened.fetch(cache, 1)
    cache.hold(path for path in paths.values() if path)
    second = FileCache(place, 10**9, opened.notes.append)
    opened.caches.append(second)
    second.hold(path for path in paths.values() if path)
    cache.close()
    opened.age(0.9 * HOUR)
    assert opened.fetch(opened.open(limit=2 * SIZE), 2)[name_key(2)] is None


def test_files_of_a_process_that_slept_with_its_machine_are_not_evicted(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = opened.open()
    (path,) = opened.fetch(user, 1).values()
    opened.age(1.1 * HOUR)
    evicting = opened.open(limit=SIZE)
    monkeypatch.setattr(time, "sleep", lambda _: os.utime(user._uses._path))  # it wakes up
    assert opened.fetch(evicting, 2)[name_key(2)] is None
    assert path
    assert path.exists()


def test_files_of_other_programs_are_neither_counted_nor_deleted(opened: Opened) -> None:
    cache = opened.open(limit=SIZE)
    others = [opened.root / name for name in ("*.x", "README", "notes.txt", "lost+found.old")]
    for other in others:
        other.write_bytes(b"x" * 2 * SIZE)
        os.utime(other, (1, 1))
    assert opened.fetch(cache, 1)[name_key(1)]
    opened.age(HOUR)
    cache.close()
    assert opened.fetch(opened.open(limit=SIZE), 2)[name_key(2)]
    assert all(other.exists() for other in others)
