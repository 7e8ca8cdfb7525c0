"""Notes, metrics and samples from reports."""

from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_api.v1alpha1.training_run_status import MetricValue, SampleText
from deepsynth_operator.decisions.training_run.progress import (
    MAX_KEPT_METRICS,
    MAX_KEPT_NOTES,
    MAX_SAMPLE_CHARACTERS,
    MAX_SAMPLES,
)
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
            run, decide(run, RUNNING_JOB, [a_pod(0, report=a_report(value, metrics=metrics))], after=20 * value)
        )
    values = {metric.name: metric.value for metric in run.status.metrics}
    assert len(values) == MAX_KEPT_METRICS
    assert values["loss"] == str(MAX_KEPT_METRICS + 4)
    assert "m0" not in values


def test_samples_of_the_last_evaluation_are_shown_and_bounded() -> None:
    run = a_live_run()
    for step in (4, 8):
        samples = [SampleText(name=f"row {n}", step=step, reference="r" * 999, written="w" * 999) for n in range(9)]
        run = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=a_report(step, samples=samples))], after=20 * step))
    assert [sample.step for sample in run.status.samples] == [8] * MAX_SAMPLES
    assert {len(sample.written) for sample in run.status.samples} == {MAX_SAMPLE_CHARACTERS}
    run = follow(run, decide(run, RUNNING_JOB, [a_pod(0, report=a_report(9))], after=200))
    assert len(run.status.samples) == MAX_SAMPLES, "a report without samples, such as that of a new attempt"
