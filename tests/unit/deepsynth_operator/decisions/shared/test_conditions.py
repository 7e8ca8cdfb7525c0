"""Conditions agree with the state and keep their transition times."""

from datetime import timedelta
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_operator.decisions.shared.conditions import update_conditions
from deepsynth_operator.decisions.shared.decision import Situation
from support.clocks.manual_clock import START


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
