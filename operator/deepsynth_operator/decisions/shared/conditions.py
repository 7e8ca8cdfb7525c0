"""status.conditions from one situation, for both kinds, so that conditions and state never contradict each other."""

from collections.abc import Mapping
from datetime import datetime

from deepsynth_api.conditions import ConditionType, build_condition, is_false, is_true
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Condition
from deepsynth_operator.decisions.shared.decision import MAX_CONDITION_MESSAGE, Situation, State


def is_finished(conditions: list[Condition]) -> bool:
    return is_true(conditions, ConditionType.COMPLETE) or is_true(conditions, ConditionType.FAILED)


def update_conditions(
    old: list[Condition],
    situation: Situation[State],
    extra: Mapping[ConditionType, tuple[bool, str, str]],
    *,
    now: datetime,
    generation: int,
) -> list[Condition]:
    """All known conditions for `situation`; `extra` maps a kind's own types to (holds, reason, message)."""
    state, reason, message = situation.state, situation.reason, situation.message
    suspended, failed = state == "Suspended", state == "Failed"
    accepted = situation.accepted or is_false(old, ConditionType.RECONCILING)
    wanted = {
        ConditionType.COMPLETE: (state == "Complete", reason, message),
        ConditionType.FAILED: (failed, reason if failed else Reason.NOT_FAILED, message if failed else ""),
        ConditionType.SUSPENDED: (
            suspended,
            reason if suspended else Reason.NOT_SUSPENDED,
            message if suspended else "",
        ),
        **extra,
        ConditionType.RECONCILING: (not accepted, reason, "" if accepted else message),
        ConditionType.STALLED: (failed, reason if failed else Reason.NOT_STALLED, message if failed else ""),
    }
    conditions = {condition.type: condition for condition in old}
    for kind, (holds, word, text) in wanted.items():
        shown, before = text[:MAX_CONDITION_MESSAGE], conditions.get(kind)
        conditions[kind] = build_condition(kind, holds, word, shown, before, now=now, generation=generation)
    return list(conditions.values())
