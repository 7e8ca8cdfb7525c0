"""Batches in several processes: results in order, few batches at a time, and clear errors."""

import os
import time
from collections.abc import Iterator
from multiprocessing import current_process
from pathlib import Path

import pytest

from deepsynth_api.errors import TemporaryError
from deepsynth_render.plan import processes
from deepsynth_render.plan.processes import SharedWork, count_cpus
from unit.deepsynth_render.plan.worker_functions import die, find_process


def test_results_are_in_order_and_the_first_ones_need_no_process() -> None:
    taken = []

    def count() -> Iterator[int]:
        for number in range(30):
            taken.append(number)
            yield number

    with SharedWork(2, alone=3) as work:
        results = []
        for number, process in work.map(find_process, count()):
            results.append((number, process))
            assert len(taken) - len(results) <= 5
    assert [number for number, _ in results] == list(range(30))
    assert {process for _, process in results[:3]} == {os.getpid()}
    assert os.getpid() not in {process for _, process in results[3:]}


def test_one_process_does_all_itself() -> None:
    with SharedWork(1, alone=0) as work:
        assert {process for _, process in work.map(find_process, range(5))} == {os.getpid()}


def test_a_process_that_is_killed_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TemporaryError, match=r"resources\.limits\.memory"), SharedWork(2, alone=0) as work:
        list(work.map(die, range(10)))


def test_a_process_that_was_killed_before_the_next_batch_is_the_same_error() -> None:
    def wait_for_death() -> Iterator[int]:
        yield 3
        while not work._pool or not work._pool._broken:
            time.sleep(0.01)
        yield 4

    with pytest.raises(TemporaryError, match=r"resources\.limits\.memory"), SharedWork(2, alone=0) as work:
        list(work.map(die, wait_for_death()))


def test_the_path_of_temporary_files_may_be_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(current_process()._config, "tempdir", str(tmp_path / ("long" * 25)))  # type: ignore[attr-defined]
    with SharedWork(2, alone=0) as work:
        assert os.getpid() not in {process for _, process in work.map(find_process, range(5))}


@pytest.mark.parametrize(
    ("limit", "expected"), [("max 100000", 64), ("250000 100000", 2), ("50000 100000", 1), ("", 64), (None, 64)]
)
def test_the_limit_of_the_container_counts(
    limit: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpu.max"
    if limit is not None:
        path.write_text(limit)
    monkeypatch.setattr(processes, "_CPU_LIMIT", path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert count_cpus() == expected
