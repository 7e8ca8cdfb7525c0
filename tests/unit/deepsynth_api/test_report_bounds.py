"""What a pod sends is either no report, or one whose texts, lists and numbers are bounded."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings

from deepsynth_api.report import Failure, PlanReport, RenderReport, Report, TrainReport, parse_report
from deepsynth_api.report_bounds import MAX_FIELD_BYTES, MAX_ITEMS, MAX_NUMBER, cut_text, fold_dropped, measure_text
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows, PlannedSplit
from support.tenants.hostile_reports import build_hostile_reports

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def walk(value: Any) -> Iterator[Any]:
    yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(child)


def parse(report: Report) -> Report:
    parsed = parse_report(report.model_dump_json(by_alias=True))
    assert parsed is not None
    return parsed


@settings(max_examples=150, deadline=None)
@given(build_hostile_reports())
def test_every_field_of_a_report_is_bounded(text: str) -> None:
    report = parse_report(text)
    if report is None:
        return
    for value in walk(report.to_dict()):
        match value:
            case str():
                assert measure_text(value) <= max(MAX_FIELD_BYTES.values())
            case list():
                assert len(value) <= MAX_ITEMS
            case int() | float():
                assert -MAX_NUMBER <= value <= MAX_NUMBER


def test_rows_are_counted_even_if_there_are_too_many_reasons_or_splits() -> None:
    dropped = [DroppedRows(reason=f"Reason{number}", rows=number) for number in range(500)]
    splits = [PlannedSplit(name=f"split{number}", rows=number) for number in range(500)]
    report = parse(Report(step="plan", time=NOW, plan=PlanReport(dropped=dropped, splits=splits)))
    assert report.plan is not None
    assert len(report.plan.dropped) == len(report.plan.splits) == MAX_ITEMS
    assert sum(item.rows for item in report.plan.dropped) == sum(range(500))
    assert sum(split.rows for split in report.plan.splits) == sum(range(500))


def test_reasons_that_are_folded_again_stay_one() -> None:
    dropped = [
        *(DroppedRows(reason=f"Reason{number}", rows=1) for number in range(9)),
        DroppedRows(reason="Other", rows=7),
    ]
    assert fold_dropped(dropped, 4)[-1] == DroppedRows(reason="Other", rows=13)
    assert len(fold_dropped(dropped, 4)) == 4


def test_of_the_notes_the_newest_are_kept() -> None:
    train = TrainReport(attempt=1, notes=[str(number) for number in range(500)])
    report = parse(Report(step="train", time=NOW, train=train))
    assert report.train is not None
    assert report.train.notes[-1] == "499"


@pytest.mark.parametrize(
    ("reason", "word"),
    [("OutOfMemory", "OutOfMemory"), ("Out of\nmemory!", "Outofmemory"), ("x" * 900, "x" * 64), ("\x1b[31m", "31m")],
)
def test_a_reason_is_one_word(reason: str, word: str) -> None:
    report = parse(Report(step="train", time=NOW, failure=Failure(reason=reason, message="m", exit_code=1)))
    assert report.failure is not None
    assert report.failure.reason == word


def test_the_largest_shards_together_fit_the_integers_of_the_api() -> None:
    report = parse(Report(step="render", time=NOW, render=RenderReport(shard=0, pages=MAX_NUMBER)))
    assert report.render is not None
    assert 1000 * report.render.pages < 2**63


@pytest.mark.parametrize("text", ["x" * 99, "<" * 99, "\x00" * 99, "\U0001f600" * 99, "a<b\n" * 40, ""])
@pytest.mark.parametrize("limit", [0, 1, 7, 64, 5000])
def test_a_text_is_cut_to_the_bytes_that_it_takes_in_a_status(text: str, limit: int) -> None:
    cut = cut_text(text, limit)
    assert text.startswith(cut)
    assert measure_text(cut) <= limit
    assert cut == text or measure_text(text[: len(cut) + 1]) > limit


@pytest.mark.parametrize("text", [b"\xff\xfe", b'{"step": "\xc3\x28"}', "\ud800", '{"step": "\ud800"}', "[" * 60_000])
def test_broken_text_gives_none(text: str | bytes) -> None:
    assert parse_report(text) is None
