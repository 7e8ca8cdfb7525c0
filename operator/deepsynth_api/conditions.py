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


def build_condition(
    kind: ConditionType,
    status: bool | None,
    reason: str,
    message: str,
    before: Condition | None = None,
    *,
    now: datetime,
    generation: int,
) -> Condition:
    """A condition. A status of None means Unknown.

    before: the same condition until now; lastTransitionTime stays while the status does, else it is `now`.
    """
    word = {True: "True", False: "False", None: "Unknown"}[status]
    since = before.last_transition_time if before is not None and before.status == word else now
    return Condition.model_validate(
        {
            "type": kind.value,
            "status": word,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since,
            "observedGeneration": generation,
        }
    )
