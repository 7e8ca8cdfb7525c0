"""When finished shards are staged while the plan step reads on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deepsynth_render.plan.staging import StagingAhead
from deepsynth_store import StoredFile


class Target:
    """Keeps sizes only. manifest: of what is published."""

    def __init__(self) -> None:
        self.staged: dict[str, int] = {}
        self.commits: list[list[str]] = []
        self.prepared = 0

    def published(self) -> None:
        return None

    def prepare(self) -> None:
        self.prepared += 1

    def put(self, files: Mapping[str, bytes | Path]) -> None:
        self.commits.append(list(files))
        self.staged |= {path: len(content) for path, content in files.items() if isinstance(content, bytes)}

    def list_staged(self, prefix: str = "") -> Sequence[StoredFile]:
        return [StoredFile(path, size, None) for path, size in self.staged.items() if path.startswith(prefix)]


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def name(shard: int) -> str:
    return f"plan/rows-{shard}"


def build_rows(count: int) -> Any:
    return {name(shard): b"rows" for shard in range(count)}


@pytest.fixture
def target() -> Any:
    return Target()


def open_ahead(target: Any, clock: Time) -> tuple[StagingAhead, list[int]]:
    shown: list[int] = []
    return StagingAhead(target, "a" * 64, {"plan/draft.json": b"{}"}, shown.append, clock), shown


def test_shards_are_staged_after_ten_seconds_and_more_rarely_the_longer_a_plan_takes(target: Any) -> None:
    """A shard is finished each second."""
    clock = Time()
    ahead, _ = open_ahead(target, clock)
    times = []
    for second in range(3600):
        clock.now = 1000 + second
        if ahead.is_due():
            ahead.stage(build_rows(second))
            times.append(second)
    assert times[:6] == [10, 20, 30, 40, 50, 63]
    assert len(times) == 24
    assert target.prepared == 1


def test_only_what_is_new_is_staged_in_commits_of_fifty_files_behind_what_all_shards_need(target: Any) -> None:
    ahead, shown = open_ahead(target, Time())
    ahead.stage(build_rows(60))
    ahead.stage(build_rows(61))
    assert [len(commit) for commit in target.commits] == [50, 11, 1]
    assert target.commits[0][:2] == ["plan/draft.json", name(0)]
    assert target.commits[2] == [name(60)]
    assert shown == [60, 61]


def test_what_another_generation_removed_from_staging_is_staged_again_at_the_end(target: Any) -> None:
    ahead, _ = open_ahead(target, Time())
    assert ahead.find_staged() == set()
    ahead.stage(build_rows(2))
    assert ahead.find_staged() == {"plan/draft.json", name(0), name(1)}
    del target.staged[name(1)]
    target.staged[name(0)] = 1
    assert ahead.find_staged() == {"plan/draft.json"}
