"""The controller on an in-memory cluster, driven by a test: time only passes when the test moves it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from deepsynth_api.kinds import ResourceKind
from deepsynth_api.report import Report
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_operator.controller.reconcile import reconcile
from deepsynth_operator.core.errors import Conflict
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.kubernetes.watches.watch_events import is_finished
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import ObjectKey, WatchEvent, key_of
from deepsynth_simulator.pod_runner import ContainerExit
from support.clocks.manual_clock import ManualClock
from support.cluster.scripted_runner import ScriptedRunner

SETTINGS = Settings(render_image="example/cpu:1", train_image="example/gpu:1")


class Controller:
    """A MemoryCluster with a scripted runner. The test calls the reconcile."""

    def __init__(
        self, cluster_type: Callable[..., MemoryCluster] = MemoryCluster, settings: Settings = SETTINGS, **options: Any
    ) -> None:
        self.settings = settings
        self.clock = ManualClock()
        self.runner = ScriptedRunner(obeys=ContainerExit(143))
        self.cluster = cluster_type(self.runner, self.clock, **options)
        self._loop = asyncio.new_event_loop()
        self._changed: list[ObjectKey] = []
        self.cluster.store.subscribe(self._count_change)

    def close(self) -> None:
        self._loop.run_until_complete(self.cluster.close())
        self._loop.close()

    def wait_for(self, awaitable: Any) -> Any:
        return self._loop.run_until_complete(awaitable)

    def reconcile(self, kind: ResourceKind, name: str, namespace: str = "default") -> float | None:
        """One pass."""
        delay: float | None = self.wait_for(
            reconcile(self.cluster, self.settings, kind, namespace, name, now=self.clock.now())
        )
        return delay

    def settle(self) -> None:
        """Reconcile every resource until nothing changes, without moving the clock."""
        for _ in range(50):
            before = len(self._changed)
            for kind, namespace, name in list(self._list_resources()):
                with contextlib.suppress(Conflict):
                    self._reconcile_and_ignore_the_echo(kind, namespace, name)
            if len(self._changed) == before:
                return
        raise AssertionError("the controller keeps changing something")

    def _reconcile_and_ignore_the_echo(self, kind: ResourceKind, namespace: str, name: str) -> None:
        """Where a reconcile only wrote the status, the event of that write is ignored: it must not be needed."""
        before, own = len(self._changed), ObjectKey(kind, namespace, name)
        delay = self.reconcile(kind, name, namespace)
        resource = self.cluster.store.get(*own)
        is_quiet = delay is None or delay > 1
        if is_quiet and set(self._changed[before:]) == {own} and resource is not None and not is_finished(resource):
            after = len(self._changed)
            self.reconcile(kind, name, namespace)
            assert self._changed[after:] == [], f"{kind} {name}: a second reconcile changes something"

    def advance(self, seconds: float, step: float = 5) -> None:
        """Move the clock in steps, and reconcile after each."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            self.clock.advance(min(step, (end - self.clock.now()).total_seconds()))
            self.settle()

    def apply(self, manifest: dict[str, Any]) -> None:
        self.cluster.apply_resource(manifest)
        self.settle()

    def change_spec(self, kind: ResourceKind, name: str, **fields: Any) -> None:
        """Change fields of the spec, as `kubectl patch` does."""
        self.cluster.store.update(ObjectKey(kind, "default", name), lambda item: item["spec"].update(fields))
        self.settle()

    def get_run(self, name: str = "read-xsum") -> TrainingRun:
        return TrainingRun.model_validate(self.cluster.store.get("TrainingRun", "default", name))

    def get_generation(self, name: str = "xsum") -> DatasetGeneration:
        return DatasetGeneration.model_validate(self.cluster.store.get("DatasetGeneration", "default", name))

    def report(self, pod: str, report: Report) -> None:
        """What the pod answers from now on."""
        self.runner.find(pod).report = report

    def end(self, pod: str, exit_code: int, report: Report | None = None, **fields: Any) -> None:
        """End a pod's container, with its final report as the termination message."""
        if report is not None:
            fields["message"] = report.model_dump_json(by_alias=True, exclude_none=True)
        self.runner.end(pod, exit_code, **fields)

    def list_jobs(self) -> list[str]:
        return sorted(job["metadata"]["name"] for job in self.cluster.store.select("Job"))

    def list_living_jobs(self) -> list[str]:
        """Jobs that are not finished."""
        return [job["metadata"]["name"] for job in self.cluster.store.select("Job") if not _is_finished(job)]

    def _list_resources(self) -> Iterator[ResourceKey]:
        kinds: tuple[ResourceKind, ...] = ("DatasetGeneration", "TrainingRun")
        for kind in kinds:
            for item in self.cluster.store.select(kind):
                yield ResourceKey(kind, item["metadata"]["namespace"], item["metadata"]["name"])

    def _count_change(self, event: WatchEvent) -> None:
        self._changed.append(key_of(event.manifest))


def _is_finished(job: Manifest) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(item["type"] in {"Complete", "Failed"} and item["status"] == "True" for item in conditions)
