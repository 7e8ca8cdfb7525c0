"""Whole lives of both kinds on an in-memory cluster, with every version of the resource that a watch reported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final

from deepsynth_api.kinds import ResourceKind
from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.report import PlanReport, PublishReport, RenderReport, Report, TrainReport
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
from deepsynth_simulator.object_store import WatchEvent
from support.cluster.cluster_faults import QueueingCluster, disrupt, set_suspended
from support.control.controller import Controller
from support.resources.builders import a_dataset_generation, a_training_run

RUN: Final = "read-xsum"
GENERATION: Final = "xsum"


@dataclass(frozen=True)
class Sight:
    """A resource as `kubectl get -w` shows it, when that was, and whether it had a Job then."""

    resource: Mapping[str, Any]
    time: datetime
    has_job: bool

    @property
    def state(self) -> str:
        state: str = self.resource["status"].get("state", "")
        return state


@dataclass
class Watcher:
    kind: ResourceKind
    control: Controller
    sights: list[Sight] = field(default_factory=list)

    def note(self, event: WatchEvent) -> None:
        if event.manifest["kind"] == self.kind and event.type != "DELETED":
            self.sights.append(Sight(event.manifest, self.control.clock.now(), bool(self.control.list_jobs())))


@cache
def watch_life(name: str) -> tuple[Sight, ...]:
    """Everything a watcher sees during a life of LIVES. Its tests only look, so each life is lived once."""
    return tuple(watch(*LIVES[name]))


def watch(kind: ResourceKind, live: Callable[[Controller], None]) -> list[Sight]:
    """Everything a watcher sees of the one resource of `kind` while it lives."""
    control = Controller(QueueingCluster)
    watcher = Watcher(kind, control)
    control.cluster.store.subscribe(watcher.note)
    try:
        live(control)
    finally:
        control.close()
    return watcher.sights


def report_step(control: Controller, step: int, attempt: int = 1, total: int = 100) -> Report:
    train = TrainReport(attempt=attempt, phase="step", step=step, total_steps=total, loss=9.0 - step / total)
    return Report(step="train", time=control.clock.now(), train=train)


def train(control: Controller, attempt: int = 1) -> None:
    """The attempt reports progress for a minute."""
    for step in (10, 20, 30):
        control.report(f"{RUN}-train-{attempt}-0", report_step(control, step, attempt))
        control.advance(20)


def end(control: Controller, exit_code: int, attempt: int = 1) -> None:
    control.end(f"{RUN}-train-{attempt}-0", exit_code, report_step(control, 100, attempt))
    control.settle()


def complete_run(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    train(control)
    end(control, 0)
    control.advance(60)


def fail_run(control: Controller) -> None:
    control.apply(a_training_run().with_spec(backoffLimit=1).to_manifest())
    train(control)
    end(control, 1)
    control.advance(30)
    end(control, 1, attempt=2)
    control.advance(60)


def misconfigure_run(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    end(control, 64)


def refuse_run(control: Controller) -> None:
    limits = {"limits": {"nvidia.com/gpu": "500m"}}
    control.apply(a_training_run().with_spec(resourcesPerNode=limits).to_manifest())


def evict_run(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    train(control)
    disrupt(control.cluster, f"{RUN}-train-1-0")
    control.settle()
    control.advance(30)
    train(control, attempt=2)
    end(control, 0, attempt=2)


def suspend_run(control: Controller) -> None:
    control.apply(a_training_run().with_spec(suspend=True).to_manifest())
    control.advance(60)
    control.change_spec("TrainingRun", RUN, suspend=False)
    train(control)
    control.change_spec("TrainingRun", RUN, suspend=True)
    control.advance(60)
    control.change_spec("TrainingRun", RUN, suspend=False)
    control.advance(30)
    end(control, 0, attempt=2)


def queue_run(control: Controller) -> None:
    control.apply(a_training_run().labelled({QUEUE_NAME: "team"}).to_manifest())
    control.advance(60)
    for suspended in (False, True, False):
        set_suspended(control.cluster, f"{RUN}-train-1", suspended)
        control.advance(60)
    end(control, 0)


def wait_for_dataset(control: Controller) -> None:
    datasets = [{"name": "xsum", "datasetGenerationRef": {"name": GENERATION}}]
    control.apply(a_training_run().with_spec(datasets=datasets).to_manifest())
    control.advance(60)
    complete_generation(control)
    train(control)
    end(control, 0)


def change_run_after_its_end(control: Controller) -> None:
    complete_run(control)
    control.change_spec("TrainingRun", RUN, suspend=True)
    control.advance(60)


def continue_run(control: Controller) -> None:
    control.apply(a_training_run().with_spec(maxSteps=100).to_manifest())
    train(control)
    end(control, 0)
    control.advance(60)
    control.change_spec("TrainingRun", RUN, maxSteps=200)
    train(control, attempt=2)
    end(control, 0, attempt=2)
    control.advance(60)


def continue_failed_run(control: Controller) -> None:
    control.apply(a_training_run().with_spec(backoffLimit=0).to_manifest())
    train(control)
    end(control, 1)
    control.advance(60)
    control.change_spec("TrainingRun", RUN, image="registry.local/fixed:2")
    train(control, attempt=2)
    end(control, 0, attempt=2)
    control.advance(60)


def plan(control: Controller, shards: int = 2) -> None:
    splits = [PlannedSplit(name="train", rows=10 * shards)]
    made = PlanReport(revision="r1", digest="d1", splits=splits, shards=shards, rows_read=20)
    control.end(f"{GENERATION}-plan-1-0", 0, Report(step="plan", time=control.clock.now(), plan=made))
    control.settle()


def report_shard(control: Controller, index: int, documents: int) -> Report:
    shard = RenderReport(shard=index, documents_total=10, documents=documents, pages=2 * documents)
    return Report(step="render", time=control.clock.now(), render=shard)


def render(control: Controller, exit_code: int = 0, number: int = 1, shards: int = 2) -> None:
    for index in range(shards):
        pod = f"{GENERATION}-render-{number}-{index}"
        control.report(pod, report_shard(control, index, 5))
        control.advance(30)
        control.end(pod, exit_code, report_shard(control, index, 10))
        control.settle()


def publish(control: Controller) -> None:
    done = PublishReport(uri="pvc://data/xsum", revision="v1", rows=20, pages=40, bytes=9, manifest_sha256="m")
    control.end(f"{GENERATION}-publish-1-0", 0, Report(step="publish", time=control.clock.now(), publish=done))
    control.settle()


def complete_generation(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    render(control)
    publish(control)
    control.advance(60)


def fail_shard(control: Controller) -> None:
    control.apply(a_dataset_generation().to_manifest())
    plan(control)
    render(control, exit_code=65)
    control.advance(60)


def suspend_generation(control: Controller) -> None:
    control.apply(a_dataset_generation().with_spec(suspend=True).to_manifest())
    control.advance(60)
    control.change_spec("DatasetGeneration", GENERATION, suspend=False)
    plan(control)
    control.change_spec("DatasetGeneration", GENERATION, suspend=True)
    control.advance(90)
    control.change_spec("DatasetGeneration", GENERATION, suspend=False)
    control.advance(90)
    render(control, number=2)
    publish(control)


def queue_generation(control: Controller) -> None:
    control.apply(a_dataset_generation().labelled({QUEUE_NAME: "team"}).to_manifest())
    control.advance(60)
    set_suspended(control.cluster, f"{GENERATION}-queue", suspended=False)
    control.settle()
    plan(control)
    control.advance(60)


LIVES: Final[Mapping[str, tuple[ResourceKind, Callable[[Controller], None]]]] = {
    "a run completes": ("TrainingRun", complete_run),
    "a run fails twice": ("TrainingRun", fail_run),
    "a run has a bad configuration": ("TrainingRun", misconfigure_run),
    "a run can have no pods": ("TrainingRun", refuse_run),
    "a run is evicted": ("TrainingRun", evict_run),
    "a run is suspended from the start and again": ("TrainingRun", suspend_run),
    "a run is queued, admitted, evicted and admitted": ("TrainingRun", queue_run),
    "a run waits for its dataset": ("TrainingRun", wait_for_dataset),
    "a run is changed after its end": ("TrainingRun", change_run_after_its_end),
    "a complete run continues": ("TrainingRun", continue_run),
    "a failed run continues": ("TrainingRun", continue_failed_run),
    "a generation completes": ("DatasetGeneration", complete_generation),
    "a shard of a generation fails": ("DatasetGeneration", fail_shard),
    "a generation is suspended from the start and again": ("DatasetGeneration", suspend_generation),
    "a generation is queued": ("DatasetGeneration", queue_generation),
}
