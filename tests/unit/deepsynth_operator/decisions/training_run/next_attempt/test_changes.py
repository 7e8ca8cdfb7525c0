"""A run continues with a changed spec: when, from where, and what is recorded."""

from dataclasses import replace
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, is_true
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.observed import Children, ObservedRun
from deepsynth_operator.decisions.shared.decision import CreateJob, Decision, DeleteJob
from deepsynth_operator.decisions.shared.status_budget import MAX_STATUS_BYTES, fit_run_status, measure_status
from deepsynth_operator.decisions.training_run.decide import decide_run
from deepsynth_operator.decisions.training_run.next_attempt.changes import MAX_KEPT_CHANGES, list_settings, note_changes
from deepsynth_operator.manifests.train_job import build_train_document, build_train_job
from support.clocks.manual_clock import START
from support.control.seen import COMPLETE_JOB, JOB, RUNNING_JOB, SETTINGS, a_report, an_ended_pod, decide, follow
from support.resources.builders import a_training_run

LATE = 1_000_000


def begin(**spec: Any) -> TrainingRun:
    """A run whose first attempt was just created by the controller."""
    run = a_training_run().with_spec(**{"numNodes": 2, "maxSteps": 10, **spec}).build()
    return follow(run, decide(run, None, after=0))


def finish(run: TrainingRun, exit_code: int = 0) -> TrainingRun:
    """The run after its attempt ended with this code on both pods, having saved step 10."""
    name = run.status.attempts[-1].job
    report = a_report(step=10, total_steps=10, saved_step=10, phase="done")
    job = replace(COMPLETE_JOB, name=name)
    if exit_code:
        job = replace(job, is_complete=False, is_failed=True)
    pods = [replace(an_ended_pod(index, exit_code), job=name, report=report) for index in (0, 1)]
    return follow(run, decide(follow(run, decide(run, replace(RUNNING_JOB, name=name), after=1)), job, pods))


def change(run: TrainingRun, **fields: Any) -> TrainingRun:
    """The run after `kubectl patch`."""
    metadata = run.metadata.updated(generation=run.metadata.generation + 1)
    spec = run.spec.to_dict() | fields
    return TrainingRun.model_validate(
        {**run.to_dict(), "metadata": metadata.to_dict(), "spec": {k: v for k, v in spec.items() if v is not None}}
    )


def look(run: TrainingRun, after: float = LATE, children: Children | None = None) -> Decision[Any]:
    return decide(run, None, after=after) if children is None else _decide_with(run, children, after)


def _decide_with(run: TrainingRun, children: Children, after: float) -> Decision[Any]:
    from datetime import timedelta

    return decide_run(ObservedRun(run, children), SETTINGS, START + timedelta(seconds=after))


def test_a_complete_run_with_more_steps_goes_back_to_work_with_a_new_attempt() -> None:
    complete = finish(begin())
    assert complete.status.state == "Complete"

    decision = look(change(complete, maxSteps=20))

    status = decision.status
    assert status.state == "Starting"
    assert not is_true(status.conditions, ConditionType.COMPLETE)
    assert (status.completion_time, status.output) == (None, None)
    assert [attempt.number for attempt in status.attempts] == [1, 2]
    assert decision.actions == (CreateJob(status.attempts[-1].job),)
    assert (status.restarts, status.saved_step) == (0, 10)
    assert (status.progress.step, status.progress.total_steps, status.progress.percentage) == (10, 20, 50)
    entry = status.history[-1]
    assert (entry.step, entry.attempt, entry.state) == (10, 2, "Complete")
    assert [(item.field, item.before, item.after) for item in entry.changes] == [("maxSteps", "10", "20")]
    assert [event.message for event in decision.events if event.reason == "SettingsChanged"] == [
        "attempt 2 continues at step 10: maxSteps 10 -> 20"
    ]


def test_the_attempt_of_a_continued_run_needs_a_checkpoint_and_its_deadline_counts_from_then() -> None:
    continued = change(finish(begin(activeDeadlineSeconds=3600)), maxSteps=20)
    run = continued.updated(status=look(continued).status)
    attempt = run.status.attempts[-1]
    assert run.status.state == "Starting", "the deadline of the first training is long over"
    assert build_train_document(run, attempt).needs_checkpoint
    assert build_train_job(run, attempt)["spec"]["activeDeadlineSeconds"] == 3600
    assert build_train_document(begin(), begin().status.attempts[-1]).needs_checkpoint is None
    assert look(run, after=LATE + 3601).status.attempts[-1].reason == "DeadlineExceeded"


@pytest.mark.parametrize(
    "fields",
    [{"numNodes": 1}, {"image": "a:2"}, {"tracking": [{"tensorboard": {"uri": "pvc://t"}}]}, {"backoffLimit": 9}],
)
def test_a_complete_run_stays_complete_when_its_length_stays(fields: dict[str, Any]) -> None:
    changed = change(finish(begin()), **fields)
    decision = look(changed)
    assert (decision.status.state, decision.actions) == ("Complete", ())
    assert decision.status.observed_generation == changed.metadata.generation

    more = look(change(follow(changed, decision), maxSteps=20)).status.history[-1]
    assert {item.field for item in more.changes} == {*fields, "maxSteps"} - {"tracking"} | (
        {"tracking"} if "tracking" in fields else set()
    )


def test_a_run_that_stopped_early_continues_when_early_stopping_changes() -> None:
    early = {"earlyStopping": {"patience": 1}}
    complete = finish(begin(evaluation=early))
    assert look(change(complete, evaluation={"earlyStopping": {"patience": 5}})).status.state == "Starting"
    entry = look(change(complete, evaluation={})).status.history[-1]
    assert [(item.field, item.before, item.after) for item in entry.changes] == [
        ("evaluation.earlyStopping.patience", "1", "")
    ]


def test_a_failed_run_continues_when_a_setting_changes_and_its_failures_are_forgotten() -> None:
    failed = finish(begin(backoffLimit=0), exit_code=1)
    assert (failed.status.state, failed.status.failures) == ("Failed", 1)

    status = look(change(failed, image="fixed:2")).status

    assert (status.state, status.failures, status.attempts_without_progress) == ("Starting", 0, 0)
    assert status.attempts[-1].image == "fixed:2"
    assert status.history[-1].state == "Failed"
    assert not is_true(status.conditions, ConditionType.STALLED)
    again = failed.updated(status=status)
    assert finish(again.updated(spec=failed.spec), exit_code=1).status.state == "Failed"


def test_a_permanent_error_of_before_does_not_fail_the_continued_run() -> None:
    failed = finish(begin(), exit_code=64)
    assert failed.status.state == "Failed"
    assert look(change(failed, cache={"sizeLimit": "100Gi"})).status.state == "Starting"


def test_a_finished_run_that_is_extended_while_suspended_waits() -> None:
    extended = change(finish(begin()), maxSteps=20, suspend=True)
    suspended = look(extended)
    assert (suspended.status.state, suspended.actions) == ("Suspended", ())
    assert suspended.status.completion_time is None
    released = change(follow(extended, suspended), suspend=False)
    status = look(released).status
    assert (status.state, len(status.attempts), len(status.history)) == ("Starting", 2, 1)


def test_a_job_that_still_runs_is_deleted_before_the_next_attempt() -> None:
    """The Job of a run that a queue held when its deadline was over."""
    extended = change(finish(begin(backoffLimit=0), exit_code=1), backoffLimit=3)
    decision = look(extended, children=Children(jobs=(RUNNING_JOB,)))
    assert (decision.status.state, decision.actions) == ("Restarting", (DeleteJob(JOB, "job-1"),))


def test_a_run_whose_deadline_passed_before_its_first_attempt_continues_with_a_longer_one() -> None:
    """A Job of another time is in the way, so there was no attempt yet whose settings could be compared."""
    run = a_training_run().with_spec(numNodes=2, maxSteps=10, activeDeadlineSeconds=60).build()
    blocked = Children(jobs=(RUNNING_JOB,))
    waiting = follow(run, look(run, after=0, children=blocked))
    failed = follow(waiting, look(waiting, after=61, children=blocked))
    assert (failed.status.state, failed.status.summary.reason, failed.status.attempts) == (
        "Failed",
        "DeadlineExceeded",
        [],
    )
    assert look(failed, after=100).status.state == "Failed"

    decision = look(change(failed, activeDeadlineSeconds=120), after=100)

    assert (decision.status.state, decision.actions) == ("Starting", (CreateJob(JOB),))
    entry = decision.status.history[-1]
    assert (entry.attempt, entry.state) == (1, "Failed")
    assert [(item.field, item.before, item.after) for item in entry.changes] == [("activeDeadlineSeconds", "60", "120")]
    live = failed.updated(spec=failed.spec.updated(active_deadline_seconds=120), status=decision.status)
    assert look(live, after=219).status.state == "Starting", "the deadline counts from when the run continued"
    assert look(live, after=221).status.state == "Failed"


def test_a_spec_that_changes_before_the_first_attempt_is_no_change_of_settings() -> None:
    run = a_training_run().with_spec(numNodes=2, maxSteps=10).build()
    waiting = follow(run, look(run, after=0, children=Children(jobs=(RUNNING_JOB,))))
    status = look(change(waiting, maxSteps=20), after=10).status
    assert (len(status.attempts), status.history) == (1, [])


def test_a_suspended_run_takes_changes_with_its_next_attempt() -> None:
    run = change(begin(), suspend=True)
    run = follow(run, decide(run, RUNNING_JOB))
    assert (run.status.state, run.status.history) == ("Suspended", [])

    status = look(change(run, suspend=False, numNodes=1, checkpoint=run.spec.checkpoint.to_dict() | {"everySteps": 5}))
    entry = status.status.history[-1]

    assert (status.status.attempts[-1].nodes, entry.state, entry.attempt) == (1, "", 2)
    assert [(item.field, item.before, item.after) for item in entry.changes] == [
        ("checkpoint.everySteps", "", "5"),
        ("numNodes", "2", ""),
    ]


def test_an_attempt_that_was_made_for_fewer_steps_does_not_complete_the_run() -> None:
    """The spec was changed while suspended, and released before the controller looked."""
    status = finish(change(begin(), maxSteps=20)).status
    assert (status.state, len(status.attempts), status.restarts) == ("Starting", 2, 0)
    assert status.history[-1].changes[0].after == "20"


def test_a_run_that_an_earlier_version_finished_continues_with_more_steps() -> None:
    complete = finish(begin())
    older = complete.updated(status=complete.status.updated(settings=[]))
    assert look(change(older, maxSteps=20)).status.history[-1].changes[0].before == "10"
    assert look(change(older, image="a:2")).status.state == "Complete"


def test_quantities_that_are_written_differently_are_no_change() -> None:
    first = a_training_run().with_spec(resourcesPerNode={"limits": {"nvidia.com/gpu": 8}}).build().spec
    second = a_training_run().with_spec(resourcesPerNode={"limits": {"nvidia.com/gpu": "8"}}).build().spec
    assert list_settings(first) == list_settings(second)


def test_history_and_settings_are_bounded() -> None:
    run = begin()
    status = run.status
    for number in range(30):
        trackers = [{"mlflow": {"uri": f"file:///{'<' * 900}{number}"}}] * 4
        limits = {f"{'d' * 60}.example.com/{index}{'r' * 60}": number + 1 for index in range(16)}
        spec = change(run, maxSteps=number + 11, tracking=trackers, resourcesPerNode={"limits": limits}).spec
        status = note_changes(status, spec, START)
    assert len(status.history) == MAX_KEPT_CHANGES
    assert len(fit_run_status(status).history) == MAX_KEPT_CHANGES
    assert measure_status(fit_run_status(status)) <= MAX_STATUS_BYTES
    assert measure_status(status.updated(history=[])) < 4096
