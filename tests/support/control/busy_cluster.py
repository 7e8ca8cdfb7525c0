"""The operator's own queue, watch events and polls on the simulator, with a slow API server, in virtual time.

async def main() -> BusyCluster:
    busy = BusyCluster(requests_per_second=10, pod_seconds=3)
    await busy.complete(100)                     100 runs, created at once
    return busy

virtual_time.run(main()).lives                   what a watch has shown of each run, and when
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from deepsynth_api.report import Report, TrainReport
from deepsynth_operator.controller.pace import Pace
from deepsynth_operator.controller.reconcile import reconcile
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.observed import JOB_NAME_LABEL, Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.decisions.training_run.progress import is_mere_progress, is_starting
from deepsynth_operator.kubernetes.reports.report_poller import ReportPoller
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from deepsynth_operator.kubernetes.watches.watch_events import WatchEvents
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import WatchEvent
from deepsynth_simulator.pod_runner import ContainerExit, PodListener
from support.clocks.manual_clock import START
from support.cluster.scripted_runner import ScriptedRunner
from support.control.controller import SETTINGS
from support.resources.builders import a_training_run

WORKERS = 16
STEPS = 100


class _LoopTime:
    """The event loop's time, as a Clock."""

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, callback)


class _Pods(ScriptedRunner):
    """Each starts a second after it was created, works for `seconds`, and succeeds. times: when each Job's pod ran."""

    def __init__(self, clock: _LoopTime, seconds: float) -> None:
        super().__init__(starts=False, obeys=ContainerExit(143))
        self._clock, self._seconds = clock, seconds
        self.times: dict[str, float] = {}

    def start(self, pod: Manifest, config_maps: Any, listener: PodListener) -> None:
        super().start(pod, config_maps, listener)
        self._clock.call_later(1.0, lambda: self._begin(pod))

    def build_report(self, phase: str) -> Report:
        step = STEPS if phase == "done" else 1
        train = {"attempt": 1, "phase": phase, "step": step, "total_steps": STEPS}
        now = self._clock.now().replace(microsecond=0)
        return Report(step="train", time=now, train=TrainReport.model_validate(train))

    async def read_all(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        """What ReportReader does."""
        await asyncio.sleep(0.1)
        living = [pod for pod in pods if not self.pods[pod["metadata"]["name"]].has_ended]
        return {pod["metadata"]["uid"]: self.build_report("step") for pod in living}

    def _begin(self, pod: Manifest) -> None:
        self.times[pod["metadata"]["labels"][JOB_NAME_LABEL]] = asyncio.get_running_loop().time()
        self.pods[pod["metadata"]["name"]].listener.started()
        self._clock.call_later(self._seconds, lambda: self._finish(pod["metadata"]["name"]))

    def _finish(self, name: str) -> None:
        self.end(name, 0, message=self.build_report("done").model_dump_json(by_alias=True, exclude_none=True))


class _SlowCluster(MemoryCluster):
    """Requests are answered one after the other."""

    def __init__(self, runner: _Pods, clock: _LoopTime, requests_per_second: float) -> None:
        super().__init__(runner, clock)
        self._seconds, self._free = 1 / requests_per_second, 0.0
        self.poller: ReportPoller
        self.requests = 0

    async def _wait(self) -> None:
        now = asyncio.get_running_loop().time()
        self._free = max(self._free, now) + self._seconds
        self.requests += 1
        await asyncio.sleep(self._free - now)

    async def read(self, *arguments: Any) -> Any:
        await self._wait()
        return await super().read(*arguments)

    async def read_job(self, namespace: str, name: str) -> Manifest | None:
        await self._wait()
        return await super().read_job(namespace, name)

    async def create(self, manifest: Manifest) -> None:
        await self._wait()
        await super().create(manifest)

    async def write_status(self, *arguments: Any) -> Any:
        await self._wait()
        return await super().write_status(*arguments)

    async def read_reports(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        return await self.poller.read_all(pods)


class BusyCluster:
    """lives: the states of each run that a watch has shown, each with its time. reconciles: how many of each run."""

    def __init__(self, *, requests_per_second: float, pod_seconds: float) -> None:
        clock = _LoopTime()
        self._clock, self.pods = clock, _Pods(clock, pod_seconds)
        self.cluster = _SlowCluster(self.pods, clock, requests_per_second)
        self.lives: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self.reconciles: Counter[str] = Counter()
        self._completed = asyncio.Semaphore(0)
        self.queue: WorkQueue[ResourceKey] = WorkQueue(self._process, get_group=lambda key: key.namespace)
        pace = Pace(SETTINGS.poll_seconds, lambda: asyncio.get_running_loop().time())
        self.cluster.poller = ReportPoller(
            self.pods, self.queue.add, pace, is_progress=is_mere_progress, starts=is_starting
        )
        self._events = WatchEvents(ResourceCache(), self.queue, on_start=self.cluster.poller.begin)
        self.cluster.view.subscribe(self._note)

    async def complete(self, runs: int) -> None:
        """Create this many runs at once, in namespaces of ten, and wait until all are Complete."""
        workers = asyncio.create_task(self.queue.run(WORKERS))
        for number in range(runs):
            run = a_training_run().named(f"r{number}", f"team-{number // 10}", uid="")
            self.cluster.apply_resource(run.to_manifest())
        for _ in range(runs):
            await self._completed.acquire()
        workers.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await workers
        await self.cluster.poller.close()

    async def _process(self, key: ResourceKey) -> float | None:
        self.reconciles[key.name] += 1
        return await reconcile(self.cluster, SETTINGS, *key, now=self._clock.now())

    def _note(self, event: WatchEvent) -> None:
        item = event.manifest
        if item["kind"] == "TrainingRun" and (state := item["status"].get("state")):
            self._note_state(self.lives[item["metadata"]["name"]], state)
        if item["kind"] in {"TrainingRun", "Job", "Pod"}:
            self._events.note(item["kind"], {"type": event.type, "object": item})

    def _note_state(self, life: dict[str, float], state: str) -> None:
        if state not in life:
            life[state] = asyncio.get_running_loop().time()
            if state == "Complete":
                self._completed.release()
