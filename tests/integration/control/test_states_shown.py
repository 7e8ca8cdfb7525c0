"""A watch sees every state that lasted for a second, however late the controller looks."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.report import Report, TrainReport
from deepsynth_simulator.object_store import WatchEvent
from support.clocks import virtual_time
from support.cluster.cluster_faults import QueueingCluster
from support.control.busy_cluster import BusyCluster
from support.control.controller import Controller
from support.resources.builders import a_training_run

NAME = "read-xsum"
POD = f"{NAME}-train-1-0"


class Watched:
    """A run whose controller looks only when the test says so. states: what a watch of it has shown, in order."""

    def __init__(self, control: Controller) -> None:
        self.control = control
        self.states: list[str] = []
        self.writes = 0
        control.cluster.store.subscribe(self._note)
        control.apply(a_training_run().to_manifest())

    def end(self, exit_code: int = 0, *, after: float, phase: str = "done", step: int = 100) -> None:
        """End the pod, `after` seconds from now, with its last report."""
        self.control.clock.advance(after)
        output = {"output": {"uri": "pvc://c/model", "step": step}} if exit_code == 0 else {}
        train = {"attempt": 1, "phase": phase, "step": step, "total_steps": 100, **output}
        report = Report(step="train", time=self.control.clock.now(), train=TrainReport.model_validate(train))
        self.control.end(POD, exit_code, report)

    def look(self) -> float | None:
        """One look. Returns the seconds until the next one."""
        self.writes = 0
        return self.control.reconcile("TrainingRun", NAME)

    def _note(self, event: WatchEvent) -> None:
        if event.manifest["kind"] != "TrainingRun":
            return
        self.writes += event.type == "MODIFIED"
        state = event.manifest["status"].get("state", "")
        if state and state not in self.states[-1:]:
            self.states.append(state)


@pytest.fixture
def run() -> Iterator[Watched]:
    control = Controller(QueueingCluster)
    yield Watched(control)
    control.close()


def test_a_run_that_started_and_completed_between_two_looks_is_shown_running_first(run: Watched) -> None:
    run.end(after=10)
    assert run.look() == 0, "the end follows at once"
    status = run.control.get_run().status
    assert (run.states, run.writes) == (["Starting", "Running"], 1)
    assert status.attempts[0].end_time is None
    ran = status.attempts[0].running_time
    assert ran is not None
    assert (run.control.clock.now() - ran).total_seconds() == 10, "since its pod ran, not since that was seen"
    assert run.look() is None
    assert (run.states, run.writes) == (["Starting", "Running", "Complete"], 1)


def test_a_run_that_failed_between_two_looks_is_shown_running_first(run: Watched) -> None:
    run.end(1, after=10, phase="step", step=7)
    assert run.look() == 0
    run.look()
    assert run.states == ["Starting", "Running", "Restarting"]
    assert run.control.get_run().status.attempts[0].reason == "NonZeroExit"


def test_what_was_shown_running_is_not_shown_again(run: Watched) -> None:
    run.control.report(POD, Report(step="train", time=run.control.clock.now(), train=_a_step()))
    run.look()
    assert run.states[-1] == "Running"
    run.end(after=10)
    run.look()
    assert (run.states[-2:], run.writes) == (["Running", "Complete"], 1)


@pytest.mark.parametrize(
    ("after", "fields"),
    [
        (0, {}),
        (10, {"exit_code": 1, "phase": "start", "step": 0}),
        (10, {"exit_code": 64, "phase": "download", "step": 0}),
    ],
    ids=["for less than a second", "while it loaded", "while it downloaded"],
)
def test_a_run_that_has_not_worked_for_a_second_is_not_shown_running(
    run: Watched, after: float, fields: dict[str, Any]
) -> None:
    run.end(after=after, **fields)
    run.look()
    assert "Running" not in run.states
    assert run.states[-1] in {"Complete", "Restarting", "Failed"}


def test_an_end_whose_exit_codes_were_not_seen_at_first_is_shown_like_any_other(run: Watched) -> None:
    run.end(after=10)
    run.look()
    run.control.cluster.delete_object("Pod", "default", POD)
    run.look()
    assert run.states[-2:] == ["Running", "Complete"]


def test_nothing_comes_before_a_suspension(run: Watched) -> None:
    """Only what is over can wait for a word about it."""
    run.control.report(POD, Report(step="train", time=run.control.clock.now(), train=_a_step()))
    run.control.clock.advance(10)
    run.control.cluster.apply_resource(a_training_run().with_spec(suspend=True).to_manifest())
    run.look()
    assert run.control.get_run().status.attempts[0].outcome == "Suspended"


def _a_step() -> TrainReport:
    return TrainReport.model_validate({"attempt": 1, "phase": "step", "step": 3, "total_steps": 100})


@pytest.mark.parametrize("pod_seconds", [1, 10])
def test_states_of_runs_that_are_created_at_once_are_all_shown(pod_seconds: float) -> None:
    """Forty runs, and an API server that answers ten requests a second: each takes longer than its pod works."""

    async def main() -> BusyCluster:
        busy = BusyCluster(requests_per_second=10, pod_seconds=pod_seconds)
        await busy.complete(40)
        return busy

    busy = virtual_time.run(main())
    histories = Counter(tuple(life) for life in busy.lives.values())
    assert histories == {("Starting", "Running", "Complete"): 40}
    assert busy.cluster.requests / 40 <= 6
