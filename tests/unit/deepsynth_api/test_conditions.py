from datetime import UTC, datetime, timedelta

from deepsynth_api.conditions import ConditionType, build_condition, find_condition, is_true
from deepsynth_api.v1alpha1 import Condition

NOW = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)


def complete(status: bool | None, minutes: int, before: Condition | None = None) -> Condition:
    when = NOW + timedelta(minutes=minutes)
    return build_condition(ConditionType.COMPLETE, status, "Because", "", before, now=when, generation=3)


def test_the_transition_time_stays_while_the_status_stays() -> None:
    assert complete(False, 5, before=complete(False, 0)).last_transition_time == NOW


def test_the_transition_time_moves_with_the_status() -> None:
    condition = complete(True, 5, before=complete(None, 0))
    assert condition.last_transition_time == NOW + timedelta(minutes=5)
    assert is_true([condition], ConditionType.COMPLETE)


def test_a_condition_that_was_never_set_is_not_true() -> None:
    assert find_condition([], ConditionType.FAILED) is None
    assert not is_true([complete(False, 0)], ConditionType.COMPLETE)


def test_times_are_written_as_kubernetes_writes_them() -> None:
    assert complete(True, 0).to_dict()["lastTransitionTime"] == "2026-01-02T03:04:05Z"
