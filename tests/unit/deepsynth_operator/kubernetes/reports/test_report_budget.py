"""What pods report takes a limited amount of memory for each namespace."""

import logging
from collections.abc import Sequence

import pytest

from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.reports.report_budget import ReportBudget

RUN, OTHER = ResourceKey("TrainingRun", "team-a", "r"), ResourceKey("TrainingRun", "team-a", "other")
STRANGER = ResourceKey("TrainingRun", "team-b", "r")


def build_report(size: int, character: str = "x") -> bytes:
    return character.encode() * size


def build_pods(count: int) -> list[Manifest]:
    """Listed from the last to the first."""
    indexes = reversed(range(count))
    return [{"metadata": {"uid": f"u{i}", "annotations": {COMPLETION_INDEX_ANNOTATION: str(i)}}} for i in indexes]


def fit(budget: ReportBudget, owner: ResourceKey, reports: Sequence[bytes]) -> list[str]:
    """uids of the pods whose reports are kept."""
    new = {f"u{index}": report for index, report in enumerate(reports)}
    return list(budget.fit(owner, build_pods(len(reports)), new))


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
    budget = ReportBudget(25_000)
    for character in "abcdef":
        report = build_report(20_000, character)
        assert budget.fit(RUN, build_pods(1), {"u0": report}) == {"u0": report}
    assert budget.get_used("team-a") == 20_000


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
