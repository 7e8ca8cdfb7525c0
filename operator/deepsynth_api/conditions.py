"""Condition types, and how they are read and written. Conditions are the authority on a resource's state."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from deepsynth_api.v1alpha1.base import Condition


class ConditionType(StrEnum):
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"
    DATASET_READY = "DatasetReady"
    PUBLISHED = "Published"
    RECONCILING = "Reconciling"
    """kstatus: True only until the resource is accepted and its first child or wait exists."""
    STALLED = "Stalled"
    """kstatus: True when the resource failed."""


def find_condition(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    return next((condition for condition in conditions if condition.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    condition = find_condition(conditions, kind)
    return condition is not None and condition.status == "True"


def is_false(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    """Whether it is known not to hold: Unknown and not yet set are neither true nor false."""
    condition = find_condition(conditions, kind)
    return condition is not None and condition.status == "False"


def set_condition(conditions: list[Condition], new: Condition) -> list[Condition]:
    """`conditions` with `new` in its place. lastTransitionTime stays while the status stays."""
    old = find_condition(conditions, ConditionType(new.type))
    if old is None:
        return [*conditions, new]
    if old.status == new.status:
        new = new.model_copy(update={"last_transition_time": old.last_transition_time})
    return [new if condition.type == new.type else condition for condition in conditions]


def build_condition(
    kind: ConditionType, status: bool | None, reason: str, message: str, *, now: datetime, generation: int
) -> Condition:
    """A condition seen at `now`; status None means Unknown."""
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
