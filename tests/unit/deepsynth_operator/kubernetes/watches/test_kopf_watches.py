"""kopf as a pure watcher: it stores nothing on objects, and it never stops retrying."""

import asyncio
from itertools import islice
from typing import Any

import kopf
import pytest
from kopf._cogs.aiokits import aiotasks
from kopf._core.reactor import queueing

from deepsynth_operator.kubernetes.watches.kopf_watches import (
    EndlessBackoff,
    PromptScheduler,
    StoresNoDiffs,
    StoresNoProgress,
    build_kopf_settings,
    use_prompt_workers,
)


def test_nothing_is_written_posted_or_scanned() -> None:
    settings = build_kopf_settings()
    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert isinstance(settings.persistence.diffbase_storage, StoresNoDiffs)
    assert isinstance(settings.persistence.progress_storage, StoresNoProgress)


def test_retries_never_end_and_their_pauses_are_limited() -> None:
    pauses = list(islice(EndlessBackoff(), 100))
    assert len(pauses) == 100
    assert pauses == sorted(pauses)
    assert max(pauses) <= 10


def test_storages_change_neither_objects_nor_patches() -> None:
    body: Any = kopf.Body({"metadata": {"name": "x"}, "spec": {"a": 1}})
    patch = kopf.Patch()
    key: Any = "handler"
    diffs: kopf.DiffBaseStorage = StoresNoDiffs()
    progress: kopf.ProgressStorage = StoresNoProgress()
    diffs.store(body=body, patch=patch, essence=diffs.build(body=body))
    progress.store(key=key, record={}, body=body, patch=patch)
    progress.touch(body=body, patch=patch, value="now")
    progress.purge(key=key, body=body, patch=patch)
    assert not patch
    assert diffs.fetch(body=body) == diffs.build(body=body)
    assert progress.fetch(key=key, body=body) is None


def test_a_watch_starts_workers_without_waiting_for_the_event_loop() -> None:
    async def main() -> None:
        rounds, errors = 0, list[BaseException]()
        done: list[int] = []

        async def count_rounds() -> None:
            nonlocal rounds
            while True:
                await asyncio.sleep(0)
                rounds += 1

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            if number == 7:
                raise RuntimeError("seven")
            done.append(number)

        counting = asyncio.create_task(count_rounds())
        scheduler = PromptScheduler(exception_handler=errors.append)
        await asyncio.sleep(0)
        before = rounds
        for number in range(100):
            await scheduler.spawn(work(number))
        assert rounds == before
        await scheduler.wait()
        assert len(done) == 99
        assert [str(error) for error in errors] == ["seven"]
        counting.cancel()
        await scheduler.close()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_closing_cancels_workers_that_run() -> None:
    async def main() -> None:
        scheduler = PromptScheduler()
        await scheduler.spawn(asyncio.sleep(3600))
        await scheduler.close()
        assert scheduler.empty()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_kopf_starts_its_workers_through_the_prompt_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiotasks, "Scheduler", aiotasks.Scheduler)
    use_prompt_workers()
    assert vars(queueing)["aiotasks"].Scheduler is PromptScheduler
    assert build_kopf_settings().queueing.worker_limit is None
