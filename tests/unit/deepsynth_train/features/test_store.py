from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from deepsynth_train.features.store import FeatureStore

LIMIT = 2**20


def open_store(folder: Path, model: str = "model", limit: int = LIMIT, notes: list[str] | None = None) -> FeatureStore:
    from deepsynth_train.features.store import FeatureStore

    return FeatureStore(folder, model, limit, (notes if notes is not None else []).append)


def build_entry(number: int, size: int = 100) -> dict[str, torch.Tensor]:
    import torch

    return {"page": torch.full((size,), float(number)), "ids": torch.tensor([number])}


def write(store: FeatureStore, key: str, entry: dict[str, Any]) -> None:
    store.write(key, entry)
    store.finish()


def list_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "used")


def test_an_entry_is_read_back_bit_for_bit_by_another_run(tmp_path: Path) -> None:
    import torch

    entry = {"a": torch.randn(3, 5).bfloat16(), "b": torch.tensor([7])}
    write(open_store(tmp_path), "key", entry)
    again = open_store(tmp_path)
    found = again.read("key")
    assert found is not None
    assert found.keys() == entry.keys()
    assert all(torch.equal(found[name], entry[name]) and found[name].dtype == entry[name].dtype for name in entry)
    assert again.read("other") is None
    assert (again.counts["hits"], again.counts["misses"], again.counts["damaged"]) == (1, 1, 0)


def test_models_do_not_see_each_others_entries(tmp_path: Path) -> None:
    write(open_store(tmp_path, "one"), "key", build_entry(1))
    assert open_store(tmp_path, "two").read("key") is None


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_damaged_entry_counts_as_missing_and_is_replaced(tmp_path: Path, place: int) -> None:
    store = open_store(tmp_path)
    write(store, "key", build_entry(1))
    (path,) = list_files(tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert store.read("key") is None
    assert store.counts["damaged"] == 1
    write(store, "key", build_entry(1))
    assert store.read("key") is not None


def test_an_empty_or_truncated_file_counts_as_missing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write(store, "key", build_entry(1))
    (path,) = list_files(tmp_path)
    whole = path.read_bytes()
    for length in (0, 10, 32, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert store.read("key") is None, length


def test_a_file_under_another_key_is_not_used(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write(store, "aa-1", build_entry(1))
    (path,) = list_files(tmp_path)
    path.rename(path.with_name("aa-2"))
    assert store.read("aa-2") is None


def test_a_full_store_keeps_what_it_has_and_counts_what_it_drops(tmp_path: Path) -> None:
    limit = 40_000
    store = open_store(tmp_path, limit=limit)
    for number in range(200):
        write(store, f"{number:03d}", build_entry(number))
    size = sum(path.stat().st_size for path in list_files(tmp_path))
    assert limit * 0.8 < size <= limit
    assert store.counts["stored"] + store.counts["dropped"] == 200
    assert store.counts["stored"] == len(list_files(tmp_path))
    assert store.read("000") is not None, "the first ones stay"


def test_a_full_store_drops_models_that_no_run_has_used_for_a_day(tmp_path: Path) -> None:
    limit = 40_000
    for model in ("old", "recent"):
        store = open_store(tmp_path, model, limit)
        for number in range(10):
            write(store, f"{number:03d}", build_entry(number, 300))
    yesterday = time.time() - 100_000
    os.utime(tmp_path / "v1" / "old" / "used", (yesterday, yesterday))
    store = open_store(tmp_path, "new", limit)
    for number in range(30):
        write(store, f"{number:03d}", build_entry(number, 300))
    assert not (tmp_path / "v1" / "old").exists()
    assert (tmp_path / "v1" / "recent").exists()
    assert store.counts["stored"] > 5
    assert sum(path.stat().st_size for path in list_files(tmp_path)) <= limit


def test_half_written_files_of_dead_writers_are_deleted(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write(store, "key", build_entry(1))
    (path,) = list_files(tmp_path)
    dead, alive = path.with_name(".a.partial"), path.with_name(".b.partial")
    for partial in (dead, alive):
        partial.write_bytes(b"half")
    os.utime(dead, (0, 0))
    write(open_store(tmp_path), "other", build_entry(2))
    assert not dead.exists()
    assert alive.exists(), "its writer may still be at work"


def test_a_disk_that_cannot_be_written_to_costs_one_note(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    notes: list[str] = []
    store = open_store(blocked / "inside", notes=notes)
    for number in range(3):
        write(store, str(number), build_entry(number))
    assert store.read("0") is None
    (note,) = notes
    assert "Not a directory" in note
    assert "spec.cache.features" in note
    assert (store.counts["failed"], store.counts["dropped"]) == (3, 0)


def test_an_entry_that_cannot_be_written_does_not_end_the_writing(tmp_path: Path) -> None:
    notes: list[str] = []
    store = open_store(tmp_path, notes=notes)
    (tmp_path / "v1/model/ba/bad").mkdir(parents=True)
    write(store, "bad", build_entry(1))
    write(store, "good", build_entry(2))
    assert (store.read("bad"), store.read("good") is None) == (None, False)
    assert (store.counts["failed"], store.counts["stored"], notes) == (1, 1, [])


def test_a_pipe_in_place_of_an_entry_counts_as_missing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    (tmp_path / "v1/model/ke").mkdir(parents=True)
    os.mkfifo(tmp_path / "v1/model/ke/key")
    assert store.read("key") is None


def test_a_folder_without_a_time_of_use_is_dropped_by_its_own_time(tmp_path: Path) -> None:
    write(open_store(tmp_path, "old", 3000), "key", build_entry(1))
    old = tmp_path / "v1" / "old"
    (old / "used").unlink()
    yesterday = time.time() - 100_000
    os.utime(old, (yesterday, yesterday))
    store = open_store(tmp_path, "new", 3000)
    for number in range(10):
        write(store, str(number), build_entry(number))
    assert not old.exists()


def test_a_store_that_is_only_read_stays_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    write(store, "key", build_entry(1))
    used = tmp_path / "v1/model/used"
    os.utime(used, (0, 0))
    monkeypatch.setattr(store, "_touched", time.monotonic() - 4000)
    store.read("key")
    assert used.stat().st_mtime > time.time() - 60


WRITER = """
import sys, torch
from pathlib import Path
from deepsynth_train.features.store import FeatureStore
store = FeatureStore(Path(sys.argv[1]), "model", 2**30, print)
for number in range(60):
    store.write(f"{number:03d}", {"page": torch.full((2000,), float(number))})
    store.finish()
"""


def test_processes_that_write_the_same_entries_leave_only_whole_ones(tmp_path: Path) -> None:
    import torch

    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    store = open_store(tmp_path)
    while any(process.poll() is None for process in processes):
        for number in range(60):
            found = store.read(f"{number:03d}")
            assert found is None or torch.equal(found["page"], torch.full((2000,), float(number)))
    assert [process.returncode for process in processes] == [0, 0]
    assert store.counts["damaged"] == 0
    assert all(store.read(f"{number:03d}") for number in range(60))
    assert len(list_files(tmp_path)) == 60
