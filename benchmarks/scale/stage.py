"""The parts of the benchmark together: the controller, the fake kubelet, the observer."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from benchmarks.scale.api_client import ApiClient, build_path
from benchmarks.scale.costs import Costs, Moment, read_queue_depth
from benchmarks.scale.fake_kubelet import FakeKubelet
from benchmarks.scale.observer import Observer
from benchmarks.scale.subjects import Controller, Subject

from e2e.support.resources import build_generation

CONCURRENCY: Final = 16
T = TypeVar("T")
QUEUE_SECONDS: Final = 60.0


@dataclass
class Stage:
    """nodes: of each run. poll_seconds: between two reads of a pod's report."""

    subject: Subject
    audit_log: Path
    api: ApiClient
    kubelet: FakeKubelet
    observer: Observer
    poll_seconds: int
    nodes: int = 1
    _controller: Controller | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def controller(self) -> Controller:
        if self._controller is None:
            raise RuntimeError(f"{self.subject.name} is not running")
        return self._controller

    async def start(self) -> Moment:
        """Returns once the controller is ready. The moment is that of its start, when it had cost nothing yet."""
        offset, begin = self.audit_log.stat().st_size, time.monotonic()
        self._controller = await asyncio.to_thread(self._running.enter_context, self.subject.run())
        return Moment(begin, 0.0, Counter(), Counter(), 0.0, 0.0, offset)

    async def stop(self) -> None:
        self._controller = None
        await asyncio.to_thread(self._running.close)

    async def read_moment(self) -> Moment:
        return await asyncio.to_thread(Moment.read, self.controller, self.audit_log)

    async def compute_costs(self, before: Moment) -> Costs:
        return await asyncio.to_thread(Costs.compute, before, self.controller, self.audit_log)

    async def wait_for_empty_queue(self) -> None:
        """Wait until no resource waits for a worker, twice in a row; for a while at most."""
        empty, end = 0, time.monotonic() + QUEUE_SECONDS
        while empty < 2 and time.monotonic() < end:
            await asyncio.sleep(1.0)
            depth = read_queue_depth(await asyncio.to_thread(self.controller.read_metrics))
            empty = 0 if depth else empty + 1

    async def create_runs(self, prefix: str, count: int, rate: float | None = None) -> Sequence[str]:
        """rate: how many a second; None for all at once."""
        names = [f"{prefix}-{number:05}" for number in range(count)]
        await self._create(self.subject.runs, [self.subject.build_run(name, self.nodes) for name in names], rate)
        return names

    async def create_finished(self, count: int) -> None:
        """Runs that are Complete already, without Jobs. The controller must not run meanwhile."""
        names = [f"finished-{number:05}" for number in range(count)]
        await self._create(self.subject.runs, [self.subject.build_run(name, self.nodes) for name in names], None)
        status = {"status": build_finished_status()}
        await self._for_each(names, lambda name: self.api.patch(f"{self.subject.runs}/{name}/status", status))

    async def create_generations(self, prefix: str, count: int) -> Sequence[str]:
        names = [f"{prefix}-{number:05}" for number in range(count)]
        path = build_path("DatasetGeneration", self.subject.namespace)
        await self._create(path, [build_generation(name, f"pvc://c/{name}") for name in names], None)
        return names

    async def delete_runs(self, names: Sequence[str]) -> None:
        """Delete them, and wait until their pods are gone too."""
        await self._for_each(names, lambda name: self.api.delete(f"{self.subject.runs}/{name}"))
        await self.observer.wait_until("the pods to be gone", lambda: not self.kubelet.pods)

    async def delete_all(self) -> None:
        """Delete all that the scenarios have left, and wait until the pods are gone too."""
        for path in self.subject.watched:
            await self.api.delete(path)
        await self.observer.wait_until("the pods to be gone", lambda: not self.kubelet.pods)

    def count(self, prefix: str, state: str) -> int:
        """How many of the resources with this prefix show this state."""
        return sum(life.state == state for life in self.observer.select(prefix).values())

    async def _create(self, path: str, manifests: Sequence[dict[str, Any]], rate: float | None) -> None:
        async def create(manifest: dict[str, Any]) -> None:
            self.observer.note_creation(manifest["metadata"]["name"])
            await self.api.create(path, manifest)

        await self._for_each(manifests, create, rate)

    async def _for_each(
        self, items: Sequence[T], action: Callable[[T], Awaitable[object]], rate: float | None = None
    ) -> None:
        slots = asyncio.Semaphore(CONCURRENCY)
        begin = time.monotonic()

        async def act(number: int, item: T) -> None:
            if rate:
                await asyncio.sleep(begin + number / rate - time.monotonic())
            async with slots:
                await action(item)

        await asyncio.gather(*(act(number, item) for number, item in enumerate(items)))


def build_finished_status() -> dict[str, Any]:
    """Of a run that was Complete an hour ago."""
    end = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "Complete", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": end}
    attempt = {"number": 1, "job": "gone", "startTime": end, "endTime": end, "outcome": "Succeeded"}
    return {
        "state": "Complete",
        "observedGeneration": 1,
        "conditions": [{**condition, "observedGeneration": 1}],
        "startTime": end,
        "completionTime": end,
        "attempts": [attempt],
    }
