"""Metrics: what is counted when, and that no series names a resource."""

import asyncio
from collections.abc import Callable

from deepsynth_api.v1alpha1 import TrainingRunStatus
from deepsynth_api.v1alpha1.shared.usage import Cost
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from deepsynth_operator.process.metrics import Metrics
from support.clocks.virtual_time import run
from support.resources.builders import a_training_run

KEY = ResourceKey("TrainingRun", "team-a", "read-xsum")


def build_status(*outcomes: str | None) -> TrainingRunStatus:
    """Attempts with these outcomes; None is a live one. Each held 100 GPU-seconds and lost 30."""
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


def test_the_cost_of_an_attempt_is_counted_when_it_ends() -> None:
    metrics = Metrics()
    metrics.show_currency("USD")
    after = build_status("Failed")
    cost = {"currency": "USD", "amount": "2.50", "lost": "1"}
    after = after.updated(attempts=[after.attempts[0].updated(cost=Cost.model_validate(cost))])
    assert (
        'deepsynth_cost_total{currency="USD",kind="DatasetGeneration",result="lost"} 0.0' in metrics.render().decode()
    )
    metrics.observe_status(a_training_run().build().updated(status=build_status(None)), after)
    metrics.observe_status(a_training_run().build().updated(status=after), after)
    text = metrics.render().decode()
    assert 'deepsynth_cost_total{currency="USD",kind="TrainingRun",result="lost"} 1.0' in text
    assert 'deepsynth_cost_total{currency="USD",kind="TrainingRun",result="useful"} 1.5' in text


def collect(
    script: Callable[[WorkQueue[ResourceKey]], None] = lambda _queue: None,
    cache: ResourceCache | None = None,
    *,
    leads: bool = True,
) -> str:
    """The metrics ten seconds after `script` was called with a queue that has no workers."""

    async def never(_: ResourceKey) -> None:
        raise AssertionError

    async def main() -> str:
        queue: WorkQueue[ResourceKey] = WorkQueue(never)
        metrics = Metrics()
        metrics.watch(queue, cache or ResourceCache(), lambda: [("pods", 42.0)], lambda: leads)
        script(queue)
        await asyncio.sleep(10)
        return metrics.render().decode()

    return run(main())


def test_the_queue_and_the_watches_are_measured_at_each_scrape() -> None:
    text = collect(lambda queue: queue.add(KEY))
    assert "deepsynth_queue_depth 1.0" in text
    assert "deepsynth_queue_oldest_seconds 10.0" in text
    assert 'deepsynth_watch_silent_seconds{resource="pods"} 42.0' in text


def test_only_the_leader_counts_resources_and_shows_its_queue() -> None:
    cache = ResourceCache()
    cache.put("TrainingRun", a_training_run().with_metadata(resourceVersion="1").to_manifest())
    leader, standby = (collect(lambda queue: queue.add(KEY), cache, leads=leads) for leads in (True, False))
    for name in ("resources", "queue_depth", "queue_oldest_seconds", "oldest_checkpoint_seconds"):
        assert f"\ndeepsynth_{name}" in leader
        assert f"\ndeepsynth_{name}" not in standby
    assert "\ndeepsynth_leader 1.0" in leader
    assert "\ndeepsynth_leader 0.0" in standby
    assert "\ndeepsynth_watch_silent_seconds" in standby


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
