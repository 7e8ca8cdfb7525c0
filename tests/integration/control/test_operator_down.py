"""The operator is down for an hour, with a thousand runs in many situations: what holds meanwhile, and what follows.

Meanwhile the simulator's controllers work, and nothing is reconciled. A new process begins with an empty cache: pods
that were deleted have left no last state.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.reasons import Reason
from deepsynth_api.report import Report, TrainReport
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.observed import Manifest, find_true_condition
from deepsynth_operator.manifests.names import build_job_name
from deepsynth_simulator.cluster_view import ClusterView
from deepsynth_simulator.memory_cluster import MemoryCluster
from deepsynth_simulator.object_store import ObjectKey
from support.clocks.manual_clock import START
from support.cluster.cluster_faults import disrupt
from support.control.controller import Controller
from support.resources.builders import a_training_run

HOUR = 3600
DEADLINE = 1800
TTL = 600
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
        self.control.settle()

    def pass_hour(self) -> None:
        """After ten minutes, everything happens at once."""
        self.control.clock.advance(HOUR / 6)
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


@pytest.fixture(scope="module", params=[4, pytest.param(84, marks=pytest.mark.slow)])
def outage(request: pytest.FixtureRequest) -> Iterator[Outage]:
    """In the state in which the first look after the restart has left it. Tests only read."""
    found = Outage(request.param)
    found.begin()
    found.pass_hour()
    found.restart()
    yield found
    found.close()


def test_runs_that_ran_all_the_time_show_their_progress_in_the_same_attempt(outage: Outage) -> None:
    for name in outage.list_names("running"):
        run = outage.get(name)
        assert (run.status.state, len(run.status.attempts), run.status.restarts) == ("Running", 1, 0)
        assert run.status.summary.step == "90/100"


def test_runs_that_succeeded_meanwhile_are_complete(outage: Outage) -> None:
    for name in outage.list_names("succeeded"):
        run = outage.get(name)
        assert (run.status.state, run.status.failures) == ("Complete", 0)
        assert run.status.output is not None


def test_runs_that_failed_meanwhile_count_one_failure_and_train_again(outage: Outage) -> None:
    for name in outage.list_names("failed"):
        status = outage.get(name).status
        assert [attempt.outcome for attempt in status.attempts] == ["Failed", None]
        assert (status.failures, status.restarts, status.attempts[0].exit_code) == (1, 1, 1)
        assert outage.find_job(name, 2) is not None
        assert status.attempts[0].end_time == START + timedelta(seconds=HOUR / 6)


def test_runs_that_cannot_succeed_are_failed_with_their_exit_code(outage: Outage) -> None:
    for name in outage.list_names("bad-config"):
        status = outage.get(name).status
        assert (status.state, status.summary.reason) == ("Failed", Reason.BAD_CONFIGURATION)
        assert (len(status.attempts), status.attempts[0].exit_code) == (1, 64)


@pytest.mark.parametrize(
    ("situation", "reason"), [("evicted", Reason.POD_DISRUPTED), ("job-deleted", Reason.JOB_DELETED)]
)
def test_disruptions_that_nobody_saw_do_not_count_as_failures(outage: Outage, situation: str, reason: Reason) -> None:
    """The evicted pod is gone; its Job still names the rule by which it failed."""
    for name in outage.list_names(situation):
        status = outage.get(name).status
        assert status.failures == 0
        assert status.attempts[0].outcome == "Disrupted"
        assert status.attempts[0].reason == reason


def test_the_job_keeps_the_deadline_while_nobody_looks(outage: Outage) -> None:
    for name in outage.list_names("deadline"):
        status = outage.get(name).status
        assert (status.state, status.summary.reason, len(status.attempts)) == ("Failed", Reason.DEADLINE_EXCEEDED, 1)
        job = outage.find_job(name)
        assert job is not None
        ended = find_true_condition(job, "Failed")
        assert ended is not None
        assert ended["lastTransitionTime"] == f"{START + timedelta(seconds=DEADLINE):%Y-%m-%dT%H:%M:%SZ}"


def test_gpus_are_counted_until_the_job_ended_and_not_until_the_restart(outage: Outage) -> None:
    assert {outage.get(name).status.usage.gpu_seconds for name in outage.list_names("succeeded")} == {HOUR // 6}
    assert {outage.get(name).status.usage.gpu_seconds for name in outage.list_names("deadline")} == {DEADLINE}
    assert {outage.get(name).status.usage.gpu_seconds for name in outage.list_names("running")} == {HOUR}


def test_a_suspension_and_a_deletion_meanwhile_take_effect(outage: Outage) -> None:
    for name in outage.list_names("suspended"):
        assert outage.get(name).status.state == "Suspended"
        assert outage.find_job(name) is None
    for name in outage.list_names("deleted"):
        assert outage.find_job(name) is None


def test_finished_runs_keep_their_jobs_until_their_ttl_and_cost_no_request(outage: Outage) -> None:
    for name in outage.list_names("expired"):
        assert (outage.get(name).status.state, outage.find_job(name)) == ("Complete", None)
    for name in outage.list_names("kept"):
        assert outage.find_job(name) is not None
    read = {name.partition("-train-")[0].rpartition("-")[0] for name in outage.cluster.jobs_read}
    assert read & {"expired", "kept"} == set()


def test_runs_that_were_created_meanwhile_start(outage: Outage) -> None:
    for name in outage.list_names("new"):
        run = outage.get(name)
        assert run.status.state in {"Starting", "Running"}
        assert outage.find_job(name) is not None
        assert run.status.attempts[0].job == build_job_name(run, "train", 1)
