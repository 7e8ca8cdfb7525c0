"""Small parts of the status: intervals, settings, conditions, usage without pods, notes and metrics."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1.training_run_status import MetricValue
from deepsynth_operator.core.observed import ObservedRun
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.shared.conditions import update_conditions
from deepsynth_operator.decisions.shared.decision import Situation
from deepsynth_operator.decisions.shared.indexes import count_indexes
from deepsynth_operator.decisions.training_run.decide import decide_run
from deepsynth_operator.decisions.training_run.progress import MAX_KEPT_METRICS, MAX_KEPT_NOTES
from support.builders import a_dataset_generation, a_training_run
from support.manual_clock import START
from support.seen import RUNNING_JOB, SETTINGS, a_live_run, a_pod, a_report, decide, follow


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("0", 1), ("1,3-5,7", 5), ("0-99999", 100_000), ("nonsense", 0), ("3-x", 0), ("5-3", 0)],
)
def test_indexes_of_a_job_are_counted_by_interval(text: str, count: int) -> None:
    assert count_indexes(text) == count


def test_settings_come_from_the_environment_and_have_defaults() -> None:
    environment = {"DEEPSYNTH_TRAIN_IMAGE": "example/gpu:2", "DEEPSYNTH_POLL_SECONDS": "30"}
    assert Settings.from_environment(environment) == Settings(train_image="example/gpu:2", poll_seconds=30)
    assert Settings.from_environment({}) == Settings()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", ""])
def test_a_poll_interval_that_is_no_number_of_seconds_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="DEEPSYNTH_POLL_SECONDS"):
        Settings.from_environment({"DEEPSYNTH_POLL_SECONDS": value})


@pytest.mark.parametrize(
    ("state", "true"),
    [
        ("Pending", set()),
        ("Running", set()),
        ("Suspended", {"Suspended"}),
        ("Complete", {"Complete"}),
        ("Failed", {"Failed", "Stalled"}),
    ],
)
def test_conditions_agree_with_the_state(state: Any, true: set[str]) -> None:
    situation: Situation[Any] = Situation(state, "Because", "of that")
    conditions = update_conditions([], situation, {}, now=START, generation=3)
    assert {condition.type for condition in conditions if condition.status == "True"} == true
    assert {condition.observed_generation for condition in conditions} == {3}


def test_a_condition_keeps_its_transition_time_while_its_status_stays() -> None:
    first = update_conditions([], Situation("Running", "A", "a"), {}, now=START, generation=1)
    later = START + timedelta(seconds=9)
    second = update_conditions(first, Situation("Failed", "B", "b"), {}, now=later, generation=1)
    complete, failed = find_condition(second, ConditionType.COMPLETE), find_condition(second, ConditionType.FAILED)
    assert complete is not None
    assert failed is not None
    assert (complete.last_transition_time, complete.reason) == (START, "B")
    assert failed.last_transition_time == later


@settings(max_examples=25)
@given(rounds=st.lists(st.lists(st.text("ab", max_size=2), max_size=12), max_size=5))
def test_notes_are_bounded_and_the_same_report_twice_changes_nothing(rounds: list[list[str]]) -> None:
    run = a_live_run()
    for notes in rounds:
        report = a_report(1, notes=notes)
        run = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=report), a_pod(1)]))
        again = decide(run, RUNNING_JOB, [a_pod(0, report=report), a_pod(1)])
        assert again.status.to_dict() == run.status.to_dict()
        assert len(run.status.notes) <= MAX_KEPT_NOTES


def test_newest_metrics_come_first_and_old_ones_are_kept_up_to_a_limit() -> None:
    run = a_live_run()
    for value in range(MAX_KEPT_METRICS + 5):
        metrics = [MetricValue(name=f"m{value}", value=str(value)), MetricValue(name="loss", value=str(value))]
        run = follow(
            run, decide(run, RUNNING_JOB, [a_pod(0, report=a_report(value, metrics=metrics))], after=20 * value)
        )
    values = {metric.name: metric.value for metric in run.status.metrics}
    assert len(values) == MAX_KEPT_METRICS
    assert values["loss"] == str(MAX_KEPT_METRICS + 4)
    assert "m0" not in values


def test_what_a_run_waits_for_is_an_event_once() -> None:
    datasets = [{"name": "pages", "datasetGenerationRef": {"name": "misspelt"}}]
    run = a_training_run().with_spec(datasets=datasets).build()
    first = decide_run(ObservedRun(run), SETTINGS, START)
    assert [(event.type, event.reason) for event in first.events] == [("Normal", "DatasetNotFound")]
    assert "misspelt" in first.events[0].message
    assert decide_run(ObservedRun(follow(run, first)), SETTINGS, START).events == ()
    condition = {"type": "Failed", "status": "True", "reason": "BadData", "lastTransitionTime": START}
    failed = a_dataset_generation().named("misspelt").with_status(conditions=[condition]).build()
    second = decide_run(ObservedRun(follow(run, first), generations={"misspelt": failed}), SETTINGS, START)
    assert [(event.type, event.reason) for event in second.events] == [("Warning", "DatasetFailed")]
