"""Events of both kinds: what is new in the conditions. Emitted once, because a status is written once."""

from deepsynth_api.conditions import ConditionType, find_condition, is_false, is_true
from deepsynth_api.v1alpha1 import Condition
from deepsynth_operator.decisions.shared.decision import Event
from deepsynth_operator.decisions.shared.obstacles import OBSTACLES

_TRANSITIONS = (
    ConditionType.DATASET_READY,
    ConditionType.SUSPENDED,
    ConditionType.COMPLETE,
    ConditionType.FAILED,
)


def describe_obstacle(old: list[Condition], new: list[Condition]) -> list[Event]:
    """What newly keeps pods from starting: shown at once, long before it ends the attempt."""
    before, now = find_condition(old, ConditionType.COMPLETE), find_condition(new, ConditionType.COMPLETE)
    if now is None or now.reason not in OBSTACLES or is_true(new, ConditionType.FAILED):
        return []
    return [] if before is not None and before.reason == now.reason else [Event("Warning", now.reason, now.message)]


def describe_transitions(old: list[Condition], new: list[Condition]) -> list[Event]:
    """Suspended, Complete and Failed that have become true, and DatasetReady where the run had to wait for it."""
    events = []
    for kind in _TRANSITIONS:
        condition = find_condition(new, kind)
        if condition is None or condition.status != "True" or is_true(old, kind):
            continue
        if kind != ConditionType.DATASET_READY or is_false(old, kind):
            events.append(Event("Warning" if kind == ConditionType.FAILED else "Normal", kind.value, condition.message))
    return events
