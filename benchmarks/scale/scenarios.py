"""The scenarios, each a function: (stage, options) -> what was measured. Each leaves the stage to the next."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from benchmarks.scale.fake_kubelet import FOREVER
from benchmarks.scale.observer import Life
from benchmarks.scale.stage import Stage
from benchmarks.scale.table import Measurement

STATES = ("Pending", "Queued", "Starting", "Planning", "Rendering", "Publishing", "Running", "Complete")
"""Of an undisturbed life, in order."""
RESTART_SECONDS = 180.0
"""How long a restart is measured at most."""


@dataclass(frozen=True)
class Options:
    runs: int
    paced_runs: int
    rate: float
    generations: int
    start: float
    life: float
    idle_seconds: float


Scenario = Callable[[Stage, Options], Awaitable[Measurement]]


async def measure_creation(stage: Stage, options: Options) -> Measurement:
    """All at once, until each has its Job. Their pods do not start."""
    stage.kubelet.start = FOREVER
    before = await stage.read_moment()
    names = await stage.create_runs("new", options.runs)
    await stage.observer.wait_until("all to have a Job", lambda: len(stage.observer.find_jobs(names)) == len(names))
    await stage.observer.wait_until("all to be Starting", lambda: stage.count("new", "Starting") == len(names))
    costs = await stage.compute_costs(before)
    measured = Measurement("creation, at once", len(names), costs, measure_latencies(stage, "new"))
    await stage.delete_runs(names)
    await stage.wait_for_empty_queue()
    return measured


async def measure_burst(stage: Stage, options: Options) -> Measurement:
    """All at once, from creation to Complete."""
    return await _measure_lives(stage, options, "burst", options.runs, rate=None)


async def measure_paced(stage: Stage, options: Options) -> Measurement:
    """One after the other, from creation to Complete."""
    return await _measure_lives(stage, options, "paced", options.paced_runs, rate=options.rate)


async def measure_idle(stage: Stage, options: Options) -> Measurement:
    """All run, and each poll finds progress."""
    stage.kubelet.start, stage.kubelet.life = options.start, FOREVER
    names = await stage.create_runs("idle", options.runs)
    await stage.observer.wait_until("all to run", lambda: stage.count("idle", "Running") == len(names))
    await asyncio.sleep(stage.poll_seconds)
    before, polls = await stage.read_moment(), stage.kubelet.polls
    begin = time.monotonic()
    await asyncio.sleep(options.idle_seconds)
    costs = await stage.compute_costs(before)
    minutes = costs.seconds / 60
    late = [max(begin - life.changed, 0.0) for life in stage.observer.select("idle").values()]
    polled = (stage.kubelet.polls - polls) / len(names) / minutes
    notes = (
        f"reports read per run and minute {polled:6.2f}",
        f"runs without progress meanwhile {sum(map(bool, late))}",
    )
    return Measurement("running, with progress", len(names), costs, notes=notes, minutes=minutes)


async def measure_restart(stage: Stage, options: Options) -> Measurement:  # noqa: ARG001 - a Scenario
    """A new process, until the status of every running run has changed once, or for RESTART_SECONDS.

    What has finished is there too.
    """
    live = [life for life in stage.observer.lives.values() if life.state == "Running"]
    finished = sum(1 for life in stage.observer.lives.values() if life.state == "Complete")
    await stage.stop()
    begin = time.monotonic()
    for life in live:
        life.first_changed = 0.0
    before = await stage.start()
    ready = time.monotonic() - begin
    with contextlib.suppress(TimeoutError):
        await stage.observer.wait_until(
            "all to change", lambda: all(life.first_changed for life in live), RESTART_SECONDS
        )
    shown = [life.first_changed - begin for life in live if life.first_changed]
    await stage.wait_for_empty_queue()
    costs = await stage.compute_costs(before)
    title = f"restart with {len(live)} running and {finished} finished"
    latencies = {"start -> status written": shown, "start -> ready": [ready]}
    notes = (f"without a new status after {RESTART_SECONDS:.0f} s: {len(live) - len(shown)}",)
    return Measurement(title, max(len(live), 1), costs, latencies, notes=notes)


async def measure_generations(stage: Stage, options: Options) -> Measurement:
    """Generations of four shards at once, from creation to Complete."""
    stage.kubelet.start, stage.kubelet.life = options.start, max(options.life / 3, 2.0)
    before = await stage.read_moment()
    names = await stage.create_generations("generation", options.generations)
    await stage.observer.wait_until("all Complete", lambda: stage.count("generation", "Complete") == len(names))
    costs = await stage.compute_costs(before)
    lives = stage.observer.select("generation")
    backwards = sum(is_backwards(life) for life in lives.values())
    return Measurement(
        "generations of 4 shards",
        len(names),
        costs,
        measure_latencies(stage, "generation"),
        count_histories(lives),
        (f"with a state that fell back: {backwards}",),
    )


SCENARIOS: Mapping[str, Scenario] = {
    "creation": measure_creation,
    "burst": measure_burst,
    "paced": measure_paced,
    "generations": measure_generations,
    "idle": measure_idle,
    "restart": measure_restart,
}
"""In the order in which they run."""
WITH_PEERS = ("creation", "burst", "paced")
"""Those that a peer can do: it has runs, and they report nothing while they run."""


async def _measure_lives(stage: Stage, options: Options, prefix: str, count: int, rate: float | None) -> Measurement:
    stage.kubelet.start, stage.kubelet.life = options.start, options.life
    before = await stage.read_moment()
    names = await stage.create_runs(prefix, count, rate)
    await stage.observer.wait_until("all Complete", lambda: stage.count(prefix, "Complete") == len(names))
    costs = await stage.compute_costs(before)
    lives = stage.observer.select(prefix)
    jumps = sum(count_jumps(stage, name) > 0 for name in lives)
    title = "whole life, at once" if rate is None else f"whole life, {rate:g} a second"
    return Measurement(title, count, costs, measure_latencies(stage, prefix), count_histories(lives), jumps=jumps)


def measure_latencies(stage: Stage, prefix: str) -> dict[str, list[float]]:
    """How long the operator took to act on, or to show, what happened."""
    found: dict[str, list[float]] = {
        name: [] for name in ("created -> Job", "pod runs -> Running", "Job done -> Complete")
    }
    lives = stage.observer.select(prefix)
    jobs = stage.observer.find_jobs(lives)
    started = stage.kubelet.find_starts()
    for name, life in lives.items():
        if name not in jobs:
            continue
        job_name, job = jobs[name]
        found["created -> Job"].append(job.created - life.created)
        if (running := life.find("Running")) is not None and job_name in started:
            found["pod runs -> Running"].append(running - started[job_name])
        if (complete := life.find("Complete")) is not None and job.ended:
            found["Job done -> Complete"].append(complete - job.ended)
    if prefix == "generation":  # the last Job is that of publish
        del found["created -> Job"]
    return {name: values for name, values in found.items() if values}


def count_jumps(stage: Stage, name: str) -> int:
    """How many states of a run lasted a second or more and were never shown."""
    job_name, job = stage.observer.find_jobs([name])[name]
    life, started = stage.observer.lives[name], stage.kubelet.find_starts().get(job_name)
    if started is None:
        return 0
    lasted = {"Starting": started - job.created, "Running": job.ended - started}
    return sum(seconds >= 1.0 and life.find(state) is None for state, seconds in lasted.items())


def count_histories(lives: Mapping[str, Life]) -> Counter[str]:
    return Counter(" > ".join(state for state, _ in life.states) for life in lives.values())


def is_backwards(life: Life) -> bool:
    order = [STATES.index(state) for state, _ in life.states if state in STATES]
    return order != sorted(order)
