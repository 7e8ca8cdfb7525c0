from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_api.report import REPORT_BYTES, Failure, PlanReport, Report, TrainReport, parse_report
from deepsynth_api.report_fit import TERMINATION_MESSAGE_BYTES, fit_report
from deepsynth_api.v1alpha1 import CheckpointStatus
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
from deepsynth_api.v1alpha1.training_run_status import SampleText
from support.tenants.largest_reports import build_largest_part

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def build_full_report(checkpoints: int, text: str) -> Report:
    entries = [
        CheckpointStatus(step=step, uri=f"file:///checkpoints/step-{step}", time=NOW, sha256="0" * 64)
        for step in range(checkpoints)
    ]
    failure = Failure(reason="Crashed", message=text, exit_code=1, rank=3, exception=text)
    train = TrainReport(attempt=2, step=7, checkpoints=entries, notes=[text] * 5)
    return Report(step="train", time=NOW, train=train, failure=failure, previous=failure)


@settings(max_examples=50)
@given(st.integers(0, 60), st.text(max_size=6000))
def test_a_report_of_any_size_fits_the_termination_message(checkpoints: int, text: str) -> None:
    message = fit_report(build_full_report(checkpoints, text))
    assert len(message.encode()) <= 3500
    parsed = parse_report(message)
    assert parsed is not None
    assert parsed.failure is not None
    assert (parsed.failure.reason, parsed.failure.rank, parsed.failure.exit_code) == ("Crashed", 3, 1)


@pytest.mark.parametrize("character", ["\U0001f600", "\x1b", '"', "\x00", "x", "\ud800"])
def test_a_failure_of_any_characters_fits_the_termination_message(character: str) -> None:
    text = character * 9999
    failure = Failure(reason="Crashed", message=text, exit_code=1, exception=text)
    message = fit_report(Report(step="train", time=NOW, failure=failure))
    assert len(message.encode()) <= 3500
    parsed = parse_report(message)
    assert parsed is not None
    assert parsed.failure is not None
    assert parsed.failure.reason == "Crashed"
    assert parsed.failure.message[0] == ("?" if character == "\ud800" else character)


def test_a_reason_that_is_too_long_is_cut() -> None:
    failure = Failure(reason="R" * 9999, message="m" * 9999, exit_code=1)
    assert len(fit_report(Report(step="train", time=NOW, failure=failure)).encode()) <= 3500


def test_a_name_that_is_not_utf8_does_not_lose_the_report() -> None:
    train = TrainReport(attempt=1, step=7, notes=["cannot read page-\udcff.png"])
    parsed = parse_report(fit_report(Report(step="train", time=NOW, train=train)))
    assert parsed is not None
    assert parsed.train is not None
    assert parsed.train.notes == ["cannot read page-?.png"]


def test_samples_are_cut_before_they_are_dropped() -> None:
    samples = [SampleText(name=f"row {n}", step=7, reference="r" * 200, written="w" * 200) for n in range(3)]
    report = build_full_report(12, "")
    report = report.updated(train=report.train.updated(samples=samples, notes=[])) if report.train else report
    parsed = parse_report(fit_report(report))
    assert parsed is not None
    assert parsed.train is not None
    assert [(len(sample.reference), len(sample.written)) for sample in parsed.train.samples] == [(80, 80)] * 3
    assert len(parsed.train.checkpoints) == 12


def test_a_report_that_fits_is_not_shortened() -> None:
    report = build_full_report(2, "short")
    assert parse_report(fit_report(report)) == report


@pytest.mark.parametrize(("splits", "characters"), [(2, 5), (120, 9), (120, 100), (5000, 30), (3, 5000)])
@pytest.mark.parametrize("limit", [3500, 65_536])
def test_a_plan_of_many_splits_keeps_its_counts(splits: int, characters: int, limit: int) -> None:
    planned = [PlannedSplit(name=f"{n}".rjust(characters, "x"), rows=n) for n in range(splits)]
    plan = PlanReport(revision="r", digest="d" * 64, splits=planned, shards=splits, rows_read=10 * splits)
    message = fit_report(Report(step="plan", time=NOW, plan=plan), limit)
    assert len(message.encode()) <= limit
    parsed = parse_report(message)
    assert parsed is not None
    assert parsed.plan is not None
    assert (parsed.plan.digest, parsed.plan.shards, parsed.plan.rows_read) == ("d" * 64, splits, 10 * splits)
    assert sum(split.rows for split in parsed.plan.splits) == sum(range(splits))
    *first, last = parsed.plan.splits
    assert first == [split.updated(name=split.name[:128]) for split in planned[: len(first)]]
    assert last.name in {planned[-1].name[:128], f"{splits - len(first)} other splits"}


TEXTS = ["x" * 5000, "\x1b" * 5000, '"' * 5000, "\U0001f600" * 3000]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("step", ["plan", "render", "publish", "train"])
@pytest.mark.parametrize("failures", [("failure", "previous"), ()])
@pytest.mark.parametrize("limit", [TERMINATION_MESSAGE_BYTES, REPORT_BYTES])
def test_the_largest_report_of_every_step_fits_with_its_digests_and_counts(
    text: str, step: str, failures: tuple[str, ...], limit: int
) -> None:
    restarts = build_largest_part("restarts", text)[:5] if step == "train" else []
    parts = {name: build_largest_part(name, text) for name in (step, *failures)} | {"restarts": restarts}
    report = Report.model_validate({"step": step, "time": NOW, **parts})
    message = fit_report(report, limit)
    assert len(message.encode()) <= limit
    parsed = parse_report(message)
    assert parsed is not None
    part, shown = getattr(report, step), getattr(parsed, step)
    for name, value in part:
        if isinstance(value, int | float) or name in {"digest", "staging", "revision", "manifest_sha256"}:
            assert getattr(shown, name) == value
        if name in {"splits", "dropped"} and step != "train":
            assert sum(entry.rows for entry in getattr(shown, name)) == 100 * 2**40
        if name == "skipped_files":
            assert sum(entry.files for entry in shown.skipped_files) == 100 * 2**40
    assert len(parsed.restarts) == len(restarts)
    assert all(restart.failure.reason == "R" * 64 for restart in parsed.restarts)
    if failures:
        assert parsed.failure is not None
        assert (parsed.failure.reason, parsed.failure.exit_code) == ("R" * 64, 2**40)
