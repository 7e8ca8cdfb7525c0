"""status.conditions and status.state from one situation, for both kinds, so that they never contradict each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from deepsynth_api.conditions import ConditionType, build_condition, is_false, is_true, set_condition
from deepsynth_api.v1alpha1 import Condition, DatasetGenerationStatus, TrainingRunStatus
from deepsynth_api.v1alpha1.dataset_generation_status import GenerationState
from deepsynth_api.v1alpha1.training_run_status import RunState
from deepsynth_operator.decisions.shared.decision import RESYNC_SECONDS

State = TypeVar("State", RunState, GenerationState)
Status = TypeVar("Status", DatasetGenerationStatus, TrainingRunStatus)
MESSAGE_CHARACTERS: Final = 2048


@dataclass(frozen=True, slots=True)
class Situation(Generic[State]):
    """Where a resource stands: one word for people, a reason for machines, a sentence with the details.

    accepted: its first child or its wait exists, so that GitOps tools need not wait any longer. Once is for ever.
    check_after: seconds until it should be looked at again if no event comes.
    """

    state: State
    reason: str
    message: str
    accepted: bool = True
    check_after: float = RESYNC_SECONDS


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
        ConditionType.FAILED: (failed, reason if failed else "NotFailed", message if failed else ""),
        ConditionType.SUSPENDED: (suspended, reason if suspended else "NotSuspended", message if suspended else ""),
        **extra,
        ConditionType.RECONCILING: (not accepted, reason, "" if accepted else message),
        ConditionType.STALLED: (failed, reason if failed else "NotStalled", message if failed else ""),
    }
    conditions = old
    for kind, (holds, word, text) in wanted.items():
        new = build_condition(kind, holds, word, text[:MESSAGE_CHARACTERS], now=now, generation=generation)
        conditions = set_condition(conditions, new)
    return conditions


def acknowledge_generation(status: Status, generation: int) -> Status:
    """A finished status for a later generation of the spec: finished stays finished."""
    conditions = [condition.updated(observed_generation=generation) for condition in status.conditions]
    return status.updated(observed_generation=generation, conditions=conditions)
