"""The drawing of lives in docs/concepts/lifecycle.md, as something that random lives must not leave."""

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.v1alpha1 import DatasetGenerationStatus, TrainingRunStatus
from deepsynth_generators.lifecycle import GUIDE, read_transitions

Status = TrainingRunStatus | DatasetGenerationStatus

_DRAWN = {kind: read_transitions(GUIDE.read_text(), kind) for kind in ("TrainingRun", "DatasetGeneration")}


def check_is_drawn(kind: str, old: Status, new: Status) -> None:
    """Fail for a change of state, or a reason of it, that docs/concepts/lifecycle.md does not show."""
    if old.state == new.state:
        return
    condition = find_condition(new.conditions, ConditionType.COMPLETE)
    assert condition is not None
    states = old.state or "", new.state or ""
    assert condition.reason in _DRAWN[kind].get(states, []), f"{states}: {condition.reason} is not drawn"
