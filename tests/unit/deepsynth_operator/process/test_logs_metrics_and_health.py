"""What the operator tells about itself: log lines, metrics, health."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientSession

from deepsynth_api.v1alpha1 import TrainingRunStatus
from deepsynth_operator.controller.controller import current_resource
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.errors import ClusterError
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.api_paths import WATCHED_KINDS
from deepsynth_operator.kubernetes.resource_cache import ResourceCache
from deepsynth_operator.process.health import SILENT_SECONDS, STALLED_SECONDS, Health, build_application, serve
from deepsynth_operator.process.logs import JsonFormatter, TextFormatter, configure_logs
from deepsynth_operator.process.metrics import Metrics
from support.builders import a_training_run
from support.virtual_time import run

KEY = ResourceKey("TrainingRun", "team-a", "read-xsum")


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def format_line(formatter: logging.Formatter, *, error: Exception | None = None) -> str:
    """A line about KEY."""
    trace = (type(error), error, None) if error is not None else None
    record = logging.LogRecord(
        "deepsynth_operator.controller.work_queue", logging.WARNING, "f", 1, "tried %d times", (3,), trace
    )
    lines: list[str] = []

    async def main() -> None:
        current_resource.set(KEY)
        lines.append(formatter.format(record))

    asyncio.run(main())
    return lines[0]


def test_a_text_line_names_the_resource() -> None:
    line = format_line(TextFormatter())
    assert line.endswith("Z WARNING TrainingRun team-a/read-xsum: tried 3 times")


def test_a_json_line_has_the_resource_in_fields() -> None:
    line = json.loads(format_line(JsonFormatter(), error=ValueError("no")))
    assert line["kind"] == "TrainingRun"
    assert (line["namespace"], line["name"]) == ("team-a", "read-xsum")
    assert (line["level"], line["logger"]) == ("warning", "deepsynth_operator.controller.work_queue")
    assert line["message"].startswith("tried 3 times\n")
    assert "ValueError: no" in line["message"]


def test_the_lines_of_one_resource_do_not_name_another(
    restored_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(name: str) -> None:
        current_resource.set(ResourceKey("TrainingRun", "a", name))
        await asyncio.sleep(0)
        logging.getLogger("x").info("at work on %s", name)

    async def main() -> None:
        await asyncio.gather(*(work(f"r{number}") for number in range(3)))
        logging.getLogger("x").info("nothing in particular")

    configure_logs("json", "info")
    asyncio.run(main())
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line.get("name"), line["message"]) for line in lines] == [
        ("r0", "at work on r0"),
        ("r1", "at work on r1"),
        ("r2", "at work on r2"),
        (None, "nothing in particular"),
    ]


def test_a_line_for_every_watch_event_is_left_out(restored_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("text", "debug")
    logging.getLogger("kopf.objects").info("Handler 'note_pod' succeeded.")
    assert capsys.readouterr().err == ""


def build_status(*outcomes: str | None) -> TrainingRunStatus:
    """Attempts with these outcomes; None is one that goes on. Each held 100 GPU-seconds and lost 30."""
    attempts = [
        {
            "number": number,
            "startTime": "2026-01-02T03:00:00Z",
            "endTime": "2026-01-02T04:00:00Z" if outcome else None,
            "outcome": outcome,
            "job": "j",
            "gpuSeconds": 100,
            "lostGpuSeconds": 30,
        }
        for number, outcome in enumerate(outcomes, start=1)
    ]
    return TrainingRunStatus.model_validate({"attempts": attempts})


def test_an_attempt_is_counted_once_when_it_ends() -> None:
    metrics = Metrics()
    before, after = build_status("Failed", None), build_status("Failed", "Disrupted", None)
    metrics.observe_status(a_training_run().build().updated(status=before), after)
    metrics.observe_status(a_training_run().build().updated(status=after), after)
    text = metrics.render().decode()
    assert 'deepsynth_attempts_total{outcome="Disrupted"} 1.0' in text
    assert 'deepsynth_attempts_total{outcome="Failed"} 0.0' in text
    assert 'deepsynth_gpu_seconds_total{result="lost"} 30.0' in text
    assert 'deepsynth_gpu_seconds_total{result="useful"} 70.0' in text


def collect(script: Any = None, cache: ResourceCache | None = None) -> str:
    """The metrics after `script` was called with a queue that nobody works on, for ten seconds."""

    async def main() -> str:
        queue: WorkQueue[ResourceKey] = WorkQueue(_fail)
        metrics = Metrics()
        metrics.watch(queue, cache or ResourceCache(), lambda: [("pods", 42.0)])
        if script:
            script(queue)
        await asyncio.sleep(10)
        return metrics.render().decode()

    return run(main())


async def _fail(_: ResourceKey) -> None:
    raise ClusterError("down")


def test_the_queue_and_the_watches_are_measured_when_they_are_asked_for() -> None:
    text = collect(lambda queue: queue.add(KEY))
    assert "deepsynth_queue_depth 1.0" in text
    assert "deepsynth_queue_oldest_seconds 10.0" in text
    assert 'deepsynth_watch_silent_seconds{resource="pods"} 42.0' in text


def test_resources_are_counted_by_state_and_never_named() -> None:
    cache = ResourceCache()
    for number, state in enumerate(["Running", "Running", "Failed", None]):
        attempts = [{"runningTime": "2026-01-02T03:00:00Z"}]
        status = {"state": state, "attempts": attempts} if state else {}
        resource = a_training_run().named(f"secret-{number}", uid=str(number)).with_status(**status)
        cache.put("TrainingRun", resource.with_metadata(resourceVersion="1").to_manifest())
    text = collect(cache=cache)
    assert 'deepsynth_resources{kind="TrainingRun",state="Running"} 2.0' in text
    assert 'deepsynth_resources{kind="TrainingRun",state="Pending"} 1.0' in text
    (age,) = [line for line in text.splitlines() if line.startswith("deepsynth_oldest_checkpoint_seconds")]
    assert float(age.split()[1]) > 0
    assert "secret" not in text


def build_health(seconds: float, silence: float = 0.0, *, finishing: bool = False) -> str | None:
    """What is found after a key has waited so long for a worker that never comes, or for one that goes on failing."""

    async def main() -> str | None:
        queue: WorkQueue[ResourceKey] = WorkQueue(_fail)
        health = Health(queue, lambda: [(kind, silence) for kind in WATCHED_KINDS])
        task = asyncio.create_task(queue.run(1)) if finishing else None
        queue.add(KEY)
        await asyncio.sleep(seconds)
        trouble = health.find_trouble()
        if task is not None:
            task.cancel()
        return trouble

    return run(main())


def test_a_queue_that_stands_still_is_trouble_and_one_that_fails_is_not() -> None:
    assert build_health(STALLED_SECONDS - 1) is None
    assert "stands still: 1 resources wait" in (build_health(STALLED_SECONDS + 1) or "")
    assert build_health(STALLED_SECONDS + 1, finishing=True) is None


def test_a_watch_that_has_been_silent_for_long_is_trouble() -> None:
    assert build_health(1, SILENT_SECONDS) is None
    assert "DatasetGeneration has been silent for 61 s" in (build_health(1, SILENT_SECONDS + 1) or "")


def test_a_queue_with_nothing_to_do_does_not_stand_still() -> None:
    async def main() -> float:
        queue: WorkQueue[ResourceKey] = WorkQueue(_fail)
        await asyncio.sleep(2 * STALLED_SECONDS)
        return queue.stalled_seconds

    assert run(main()) == 0


def test_health_readiness_and_metrics_are_served() -> None:
    async def main() -> None:
        silence = 0.0
        queue: WorkQueue[ResourceKey] = WorkQueue(_fail)
        health, metrics = Health(queue, lambda: [("pods", silence)]), Metrics()
        runner = await serve(build_application(health, metrics), "127.0.0.1", 0)
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"

        async def ask(path: str) -> tuple[int, str]:
            async with ClientSession() as session, session.get(base + path) as answer:
                return answer.status, await answer.text()

        assert await ask("/healthz") == (200, "ok")
        assert (await ask("/readyz"))[0] == 503
        health.is_ready = True
        silence = 100.0
        assert await ask("/readyz") == (200, "ok")
        assert await ask("/healthz") == (503, "the watch of pods has been silent for 100 s")
        status, text = await ask("/metrics")
        assert status == 200
        assert "process_cpu_seconds_total" in text
        await runner.cleanup()

    asyncio.run(main())
