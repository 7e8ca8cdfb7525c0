"""What pods report takes a limited amount of memory for each namespace."""

import logging
from collections.abc import Sequence

import pytest

from deepsynth_api.report import Report
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.reports.report_budget import ReportBudget
from support.control.seen import a_report

RUN, OTHER = ResourceKey("TrainingRun", "team-a", "r"), ResourceKey("TrainingRun", "team-a", "other")
STRANGER = ResourceKey("TrainingRun", "team-b", "r")


def build_report(characters: int, step: int = 1) -> Report:
    return a_report(step, notes=["x" * 1000] * (characters // 1000))


def build_pods(count: int) -> list[Manifest]:
    """Listed from the last to the first."""
    indexes = reversed(range(count))
    return [{"metadata": {"uid": f"u{i}", "annotations": {COMPLETION_INDEX_ANNOTATION: str(i)}}} for i in indexes]


def fit(budget: ReportBudget, owner: ResourceKey, reports: Sequence[Report]) -> list[str]:
    """uids of the pods whose reports are kept."""
    new = {f"u{index}": report for index, report in enumerate(reports)}
    return list(budget.fit(owner, build_pods(len(reports)), {}, new))


def test_what_fits_is_kept() -> None:
    assert fit(ReportBudget(50_000), RUN, [build_report(10_000)] * 4) == ["u0", "u1", "u2", "u3"]


def test_what_does_not_fit_is_dropped_and_the_first_pods_are_kept() -> None:
    assert fit(ReportBudget(25_000), RUN, [build_report(10_000)] * 12) == ["u0", "u1"]


def test_all_resources_of_a_namespace_share_its_budget_and_other_namespaces_do_not() -> None:
    budget = ReportBudget(25_000)
    assert fit(budget, RUN, [build_report(20_000)]) == ["u0"]
    assert fit(budget, OTHER, [build_report(20_000)]) == []
    assert fit(budget, STRANGER, [build_report(20_000)]) == ["u0"]


def test_a_report_makes_room_for_the_next_one_of_its_pod() -> None:
    budget, kept = ReportBudget(25_000), dict[str, Report]()
    for step in range(10):
        kept = budget.fit(RUN, build_pods(1), kept, {"u0": build_report(20_000, step)})
        assert kept["u0"].train is not None
        assert kept["u0"].train.step == step


def test_a_report_that_has_not_changed_is_the_same_object() -> None:
    budget, report = ReportBudget(), build_report(2000)
    kept = budget.fit(RUN, build_pods(1), {}, {"u0": report})
    again = budget.fit(RUN, build_pods(1), kept, {"u0": report.model_copy()})
    assert again["u0"] is report


def test_a_resource_that_is_not_polled_any_more_gives_its_bytes_back() -> None:
    budget = ReportBudget(25_000)
    fit(budget, RUN, [build_report(20_000)])
    budget.forget(RUN)
    assert budget.get_used("team-a") == 0
    assert fit(budget, OTHER, [build_report(20_000)]) == ["u0"]


def test_a_namespace_over_its_budget_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    budget = ReportBudget(25_000)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            fit(budget, RUN, [build_report(20_000)] * 2)
    assert [record.getMessage() for record in caplog.records] == [
        "reports of pods in namespace team-a exceed 25000 bytes; the progress of some is not shown"
    ]
