"""Notes, metrics and samples from reports, and which reports are mere progress."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_api.report import Failure, Report
from deepsynth_api.v1alpha1.training_run_status import CheckpointStatus, MetricValue, ModelOutput, SampleText
from deepsynth_operator.decisions.training_run.progress import (
    MAX_KEPT_METRICS,
    MAX_KEPT_NOTES,
    MAX_SAMPLE_CHARACTERS,
    MAX_SAMPLES,
    is_mere_progress,
)
from support.clocks.manual_clock import START
from support.control.seen import RUNNING_JOB, a_live_run, a_pod, a_report, decide, follow


@settings(max_examples=25)
@given(rounds=st.lists(st.lists(st.text("ab", max_size=2), max_size=12), max_size=5))
def test_notes_are_bounded_and_a_repeated_report_changes_nothing(rounds: list[list[str]]) -> None:
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
            run, decide(run, RUNNING_JOB, [a_pod(0, report=a_report(value, metrics=metrics))], after=30 * value)
        )
    values = {metric.name: metric.value for metric in run.status.metrics}
    assert len(values) == MAX_KEPT_METRICS
    assert values["loss"] == str(MAX_KEPT_METRICS + 4)
    assert "m0" not in values


def test_at_the_end_metrics_and_samples_are_those_of_the_published_model() -> None:
    run = a_live_run()
    samples = [SampleText(name="row 1", step=step, reference="r", written="w") for step in (8, 4)]
    metrics = [MetricValue(name="validation_loss", value=f"{step}", step=step) for step in (8, 4)]
    last = a_report(8, samples=samples[:1], metrics=[*metrics[:1], MetricValue(name="black", value="9", step=8)])
    run = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=last)], after=20))
    assert len(run.status.metrics) == 2
    output = ModelOutput(uri="pvc://c/model", step=4)
    end = a_report(8, samples=samples[1:], metrics=metrics[1:], output=output)
    ended = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=end)], after=40)).status
    assert [(metric.name, metric.value) for metric in ended.metrics] == [("validation_loss", "4")]
    assert [sample.step for sample in ended.samples] == [4]
    short = a_report(8, output=output)
    ended = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=short)], after=40)).status
    assert [sample.step for sample in ended.samples] == [8], "better than none; each names its step"


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("cer", "1.23529", "cer 123.5% (step 4)"),
        ("rouge", "0.4", "rouge 40.0% (step 4)"),
        ("loss", "1.8346", "loss 1.835 (step 4)"),
        ("cer", "unknown", "cer unknown (step 4)"),
        ("loss", "nan", "loss nan (step 4)"),
    ],
)
def test_the_column_best_shows_the_metric_that_decides(metric: str, value: str, shown: str) -> None:
    run = a_live_run()
    best = CheckpointStatus(step=4, uri="pvc://c/step-4", time=START, metric=metric, value=value)
    report = a_report(4, checkpoints=[best], best_checkpoint=best)
    status = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=report)], after=20)).status
    assert status.summary.best == shown


def test_samples_of_the_last_evaluation_are_shown_and_bounded() -> None:
    run = a_live_run()
    for step in (4, 8):
        samples = [SampleText(name=f"row {n}", step=step, reference="r" * 999, written="w" * 999) for n in range(9)]
        run = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=a_report(step, samples=samples))], after=20 * step))
    assert [sample.step for sample in run.status.samples] == [8] * MAX_SAMPLES
    assert {len(sample.written) for sample in run.status.samples} == {MAX_SAMPLE_CHARACTERS}
    run = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=a_report(9))], after=200))
    assert len(run.status.samples) == MAX_SAMPLES, "a report without samples, such as that of a new attempt"


def test_an_attempt_shows_its_seconds_in_steps_and_evaluations() -> None:
    run = a_live_run()
    report = a_report(4, step_seconds=7.6, evaluation_seconds=-1.0)
    run = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=report)], after=20))
    assert (run.status.attempts[-1].step_seconds, run.status.attempts[-1].evaluation_seconds) == (8, 0)


@pytest.mark.parametrize(
    ("fields", "is_progress"),
    [
        ({"loss": 0.5, "remaining_seconds": 9, "epoch": 0.5}, True),
        ({"step_seconds": 9.0, "evaluation_seconds": 1.0}, True),
        ({"phase": "save"}, False),
        ({"saved_step": 2}, False),
        ({"notes": ["a new note"]}, False),
        ({"output": {"uri": "pvc://c/model"}}, False),
    ],
)
def test_a_report_with_other_measures_is_mere_progress_and_any_other_change_is_not(
    fields: dict[str, Any], is_progress: bool
) -> None:
    later = {"time": START + timedelta(seconds=15)}
    assert is_mere_progress(a_report(1), a_report(2, **fields).updated(**later)) == is_progress


def test_a_failure_and_the_reports_of_other_steps_are_never_mere_progress() -> None:
    failed = a_report(2, failure=Failure(reason="X", message="", exit_code=1))
    assert not is_mere_progress(a_report(1), failed)
    plan = Report(step="plan", time=START)
    assert not is_mere_progress(plan, plan.updated(time=START + timedelta(seconds=15)))
