"""The files of the administrator are read at the start and again when it changes."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.job_defaults import JobDefault
from deepsynth_operator.process import followed_file
from deepsynth_operator.process.followed_file import follow_defaults, follow_prices

NVIDIA = "- template: {runtimeClassName: nvidia}"
VOLCANO = "- template: {schedulerName: volcano}"


def follow(path: Path, *changes: Callable[[], object]) -> list[tuple[JobDefault, ...]]:
    """What is used after each change. The file is looked at once after each of them."""
    used: list[tuple[JobDefault, ...]] = []
    todo = list(changes)

    async def pause(_: float) -> None:
        if not todo:
            raise asyncio.CancelledError
        todo.pop(0)()

    file = follow_defaults(path, pause)
    file.read()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(file.follow(used.append))
    return used


def test_a_changed_file_is_used_and_an_unchanged_one_is_not_reported(tmp_path: Path) -> None:
    path = tmp_path / "defaults.yaml"
    path.write_text(NVIDIA)
    used = follow(path, lambda: None, lambda: path.write_text(VOLCANO), lambda: None)
    assert [defaults[0].template.scheduler_name for defaults in used] == ["volcano"]


def test_an_invalid_change_is_logged_once_and_the_defaults_of_before_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "defaults.yaml"
    path.write_text(NVIDIA)
    with caplog.at_level(logging.WARNING):
        used = follow(path, lambda: path.write_text("- template: {x: 1}"), lambda: None, path.unlink, lambda: None)
    assert used == []
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "jobs.defaults[0].template.x",
        "DEEPSYNTH_JOB_DEFAULTS",
    ]


def test_a_date_that_does_not_exist_is_logged_and_the_next_change_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "defaults.yaml"
    path.write_text(NVIDIA)
    broken = "- template: {labels: {released: 2026-13-01}}"
    with caplog.at_level(logging.WARNING):
        used = follow(path, lambda: path.write_text(broken), lambda: path.write_text(VOLCANO))
    assert [defaults[0].template.scheduler_name for defaults in used] == ["volcano"]
    assert len(caplog.records) == 1


def test_an_unchanged_file_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "defaults.yaml"
    path.write_text(NVIDIA)
    parsed: list[str] = []

    def parse(text: str) -> tuple[JobDefault, ...]:
        parsed.append(text)
        return ()

    monkeypatch.setattr(followed_file, "parse_job_defaults", parse)
    follow(path, lambda: None, lambda: path.write_text(VOLCANO), lambda: None)
    assert parsed == [NVIDIA, VOLCANO]


def test_a_file_that_comes_back_is_used(tmp_path: Path) -> None:
    path = tmp_path / "defaults.yaml"
    path.write_text(NVIDIA)
    assert len(follow(path, path.unlink, lambda: path.write_text(NVIDIA))) == 1


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"DEEPSYNTH_JOB_DEFAULTS: .*none\.yaml cannot be read"):
        follow_defaults(tmp_path / "none.yaml").read()


def test_changed_prices_are_used_and_invalid_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("")
    changes = iter(["{currency: EUR, entries: [{perHour: {cpu: 1}}]}", "currency: nothing"])

    async def pause(_: float) -> None:
        if (text := next(changes, None)) is None:
            raise asyncio.CancelledError
        path.write_text(text)

    file = follow_prices(path, pause)
    assert file.read().entries == []
    used: list[str | None] = []
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(file.follow(lambda prices: used.append(prices.currency)))
    assert used == ["EUR"]
