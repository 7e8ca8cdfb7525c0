"""Types of conditions, and how to read and write them. The conditions define what state a resource is in."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from deepsynth_api.v1alpha1.shared.base import Condition


class ConditionType(StrEnum):
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"
    DATASET_READY = "DatasetReady"
    PUBLISHED = "Published"
    RECONCILING = "Reconciling"
    """For kstatus: True until the resource is accepted: its first child exists, or it waits for an input."""
    STALLED = "Stalled"
    """For kstatus: True when the resource has failed."""


def find_condition(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    return next((condition for condition in conditions if condition.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    condition = find_condition(conditions, kind)
    return condition is not None and condition.status == "True"


def is_false(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    """Whether the condition is False. One that is Unknown or not set is neither true nor false."""
    condition = find_condition(conditions, kind)
    return condition is not None and condition.status == "False"


def set_conditions(conditions: Iterable[Condition], new: Iterable[Condition]) -> list[Condition]:
    """`conditions` with `new` added, or in place of the old ones. lastTransitionTime changes only with the status."""
    known = {condition.type: condition for condition in conditions}
    for condition in new:
        old = known.get(condition.type)
        since = (old if old and old.status == condition.status else condition).last_transition_time
        known[condition.type] = condition.updated(last_transition_time=since)
    return list(known.values())


def build_condition(
    kind: ConditionType, status: bool | None, reason: str, message: str, *, now: datetime, generation: int
) -> Condition:
    """A condition whose status changed at `now`. A status of None means Unknown."""
    word = {True: "True", False: "False", None: "Unknown"}[status]
    return Condition.model_validate(
        {
            "type": kind.value,
            "status": word,
            "reason": reason,
            "message": message,
            "lastTransitionTime": now,
            "observedGeneration": generation,
        }
    )
