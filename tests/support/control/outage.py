"""The operator is down for an hour, on the simulator, and returns: runs in many situations, some of each.

outage = Outage(runs=4)
outage.begin()                    all runs train, or are Complete
outage.pass_hour()                pods end, Jobs are deleted, runs are suspended; nothing is reconciled
outage.restart()                  a new process, with an empty cache
"""

from collections import Counter
from typing import Any

from deepsynth_api.report import Report, TrainReport
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.decisions.shared.throttle import START_DETAILS
from deepsynth_simulator.cluster_view import ClusterView
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import ObjectKey
from support.cluster.cluster_faults import disrupt
from support.control.controller import Controller
from support.resources.builders import a_training_run

HOUR = 3600
DEADLINE = 1800
TTL = 600
_SEEN = int(START_DETAILS.total_seconds())
"""This many seconds after their start, the status says that the Jobs exist and their containers run."""
GPUS = {"limits": {"nvidia.com/gpu": 1}}
SITUATIONS = (
    "running",
    "succeeded",
    "failed",
    "bad-config",
    "evicted",
    "job-deleted",
    "deadline",
    "suspended",
    "deleted",
    "expired",
    "kept",
    "new",
)
"""What becomes of a run while the operator is down. Each name of a run begins with one of them.

expired, kept: it was Complete before, with and without ttlSecondsAfterFinished. new: it is created meanwhile.
"""


class CountingCluster(MemoryCluster):
    """Counts what is read past the cache."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.jobs_read: Counter[str] = Counter()

    async def read_job(self, namespace: str, name: str) -> Manifest | None:
        self.jobs_read[name] += 1
        return await super().read_job(namespace, name)

    def forget(self) -> None:
        """A new process has an empty cache."""
        self.view = ClusterView(self.store, self._clock)
        self.jobs_read.clear()


class Outage:
    """runs: how many in each situation."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.control = Controller(CountingCluster)
        self.cluster: CountingCluster = self.control.cluster  # type: ignore[assignment]  # the class that was given

    def list_names(self, situation: str) -> list[str]:
        return [f"{situation}-{number}" for number in range(self.runs)]

    def get(self, name: str) -> TrainingRun:
        return TrainingRun.model_validate(self.cluster.store.get("TrainingRun", get_namespace(name), name))

    def find_job(self, name: str, attempt: int = 1) -> Manifest | None:
        return self.cluster.store.get("Job", get_namespace(name), f"{name}-train-{attempt}")

    def create(self, situation: str) -> None:
        fields: dict[str, Any] = {"resourcesPerNode": GPUS}
        if situation == "deadline":
            fields["activeDeadlineSeconds"] = DEADLINE
        if situation == "expired":
            fields["ttlSecondsAfterFinished"] = TTL
        for name in self.list_names(situation):
            run = a_training_run(name).named(name, get_namespace(name), uid="").with_spec(**fields)
            self.cluster.apply_resource(run.to_manifest())

    def report(self, name: str, step: int) -> None:
        self.control.report(f"{name}-train-1-0", build_report(self.control, step))

    def end(self, name: str, exit_code: int) -> None:
        done = build_report(self.control, 100, phase="done", output={"uri": f"pvc://checkpoints/{name}/model"})
        self.control.end(f"{name}-train-1-0", exit_code, done if exit_code == 0 else None)

    def begin(self) -> None:
        """All runs train, or are Complete, and the operator is stopped."""
        for situation in SITUATIONS:
            if situation != "new":
                self.create(situation)
        self.control.settle()
        for situation in ("expired", "kept"):
            for name in self.list_names(situation):
                self.end(name, 0)
        for name in self.list_names("running"):
            self.report(name, 10)
        self.control.advance(_SEEN)

    def pass_hour(self) -> None:
        """After ten minutes, everything happens at once."""
        self.control.clock.advance(HOUR / 6 - _SEEN)
        codes = {"succeeded": 0, "failed": 1, "bad-config": 64}
        for situation, code in codes.items():
            for name in self.list_names(situation):
                self.end(name, code)
        for name in self.list_names("evicted"):
            disrupt(self.cluster, f"{name}-train-1-0")
        for name in self.list_names("job-deleted"):
            self.cluster.delete_object("Job", get_namespace(name), f"{name}-train-1")
        for name in self.list_names("suspended"):
            key = ObjectKey("TrainingRun", get_namespace(name), name)
            self.cluster.store.update(key, lambda item: item["spec"].update(suspend=True))
        for name in self.list_names("deleted"):
            self.cluster.delete_object("TrainingRun", get_namespace(name), name)
        for name in self.list_names("running"):
            self.report(name, 90)
        self.create("new")
        self.control.clock.advance(HOUR - HOUR / 6)

    def restart(self) -> None:
        self.cluster.forget()
        self.control.settle()

    def close(self) -> None:
        self.control.close()


def get_namespace(name: str) -> str:
    """Few runs share one: the simulator looks through all objects of a namespace."""
    return f"users-{name.rpartition('-')[2]}"


def build_report(control: Controller, step: int, **fields: Any) -> Report:
    train = {"attempt": 1, "phase": "step", "step": step, "total_steps": 100, **fields}
    return Report(step="train", time=control.clock.now(), train=TrainReport.model_validate(train))
