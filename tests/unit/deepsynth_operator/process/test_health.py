"""Health: when a process counts as unhealthy, and the HTTP endpoints that show it."""

import asyncio

from aiohttp import ClientSession

from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.errors import ClusterError
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.api.api_paths import WATCHED_KINDS
from deepsynth_operator.process.health import SILENT_SECONDS, STALLED_SECONDS, Health, build_application, serve
from deepsynth_operator.process.metrics import Metrics
from support.clocks.virtual_time import run

KEY = ResourceKey("TrainingRun", "team-a", "read-xsum")


async def fail(_: ResourceKey) -> None:
    raise ClusterError("down")


def find_trouble(seconds: float, silence: float = 0.0, *, has_workers: bool = False, leads: bool = True) -> str | None:
    """What is wrong after a key has been in the queue for `seconds`; each reconcile fails."""

    async def main() -> str | None:
        queue: WorkQueue[ResourceKey] = WorkQueue(fail)
        health = Health(queue, lambda: [(kind, silence) for kind in WATCHED_KINDS], lambda: leads)
        task = asyncio.create_task(queue.run(1)) if has_workers else None
        queue.add(KEY)
        await asyncio.sleep(seconds)
        trouble = health.find_trouble()
        if task is not None:
            task.cancel()
        return trouble

    return run(main())


def test_a_stuck_queue_is_unhealthy_and_one_whose_reconciles_fail_is_not() -> None:
    assert find_trouble(STALLED_SECONDS - 1) is None
    assert find_trouble(STALLED_SECONDS + 1) == "the queue is stuck: 1 resource waiting, no reconcile ended for 301 s"
    assert find_trouble(STALLED_SECONDS + 1, has_workers=True) is None


def test_a_queue_that_waits_to_take_over_is_not_stuck() -> None:
    assert find_trouble(10 * STALLED_SECONDS, leads=False) is None


def test_a_watch_that_is_silent_for_too_long_is_unhealthy() -> None:
    assert find_trouble(1, SILENT_SECONDS) is None
    assert find_trouble(1, SILENT_SECONDS + 1) == "the watch of DatasetGeneration has been silent for 61 s"


def test_an_empty_queue_is_not_stuck() -> None:
    async def main() -> float:
        queue: WorkQueue[ResourceKey] = WorkQueue(fail)
        await asyncio.sleep(2 * STALLED_SECONDS)
        return queue.stalled_seconds

    assert run(main()) == 0


def test_health_readiness_and_metrics_are_served() -> None:
    async def main() -> None:
        silence = 0.0
        queue: WorkQueue[ResourceKey] = WorkQueue(fail)
        health, metrics = Health(queue, lambda: [("pods", silence)]), Metrics()
        runner = await serve(build_application(health, metrics), "127.0.0.1", 0)
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"

        async def get(path: str) -> tuple[int, str]:
            async with ClientSession() as session, session.get(base + path) as answer:
                return answer.status, await answer.text()

        assert await get("/healthz") == (200, "ok")
        assert (await get("/readyz"))[0] == 503
        health.is_ready = True
        silence = 100.0
        assert await get("/readyz") == (200, "ok")
        assert await get("/healthz") == (503, "the watch of pods has been silent for 100 s")
        status, text = await get("/metrics")
        assert status == 200
        assert "process_cpu_seconds_total" in text
        await runner.cleanup()

    asyncio.run(main())
