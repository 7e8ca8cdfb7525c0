"""Events for `kubectl describe`: what is new in a status, told once because it is written once."""

from deepsynth_api.conditions import ConditionType, find_condition, is_true
from deepsynth_api.v1alpha1 import Condition, DatasetGenerationStatus, TrainingRunStatus
from deepsynth_operator.decisions.shared.decision import Event, EventType
from deepsynth_operator.decisions.shared.starting import OBSTACLES
from deepsynth_operator.decisions.training_run.backoff import describe_attempt
from deepsynth_operator.decisions.training_run.inputs import FAILED_WAITS, WAITS


def compute_run_events(old: TrainingRunStatus, new: TrainingRunStatus) -> tuple[Event, ...]:
    events = [*_describe_attempts(old, new), *_describe_checkpoint(old, new)]
    events.extend(_describe_obstacle(old.conditions, new.conditions))
    events.extend(_describe_wait(old.conditions, new.conditions))
    return (*events, *_describe_transitions(old.conditions, new.conditions))


def compute_generation_events(old: DatasetGenerationStatus, new: DatasetGenerationStatus) -> tuple[Event, ...]:
    events: list[Event] = []
    begun = {job.name for job in old.jobs}
    events.extend(
        Event("Normal", "StepStarted", f"{job.step}: Job {job.name}") for job in new.jobs if job.name not in begun
    )
    if new.last_failure is not None and new.last_failure != old.last_failure:
        failure = new.last_failure
        where = failure.step if failure.index is None else f"{failure.step}, shard {failure.index}"
        events.append(Event("Warning", failure.reason, f"{where}: {failure.message}"))
    events.extend(_describe_obstacle(old.conditions, new.conditions))
    return (*events, *_describe_transitions(old.conditions, new.conditions))


def _describe_attempts(old: TrainingRunStatus, new: TrainingRunStatus) -> list[Event]:
    events = []
    known = {attempt.number: attempt for attempt in old.attempts}
    for attempt in new.attempts:
        before = known.get(attempt.number)
        if before is None:
            events.append(Event("Normal", "AttemptStarted", f"attempt {attempt.number}: Job {attempt.job}"))
        if attempt.end_time is not None and (before is None or before.end_time is None):
            kind: EventType = "Normal" if attempt.outcome in {"Succeeded", "Suspended"} else "Warning"
            events.append(Event(kind, f"Attempt{attempt.outcome}", describe_attempt(attempt)))
    return events


def _describe_checkpoint(old: TrainingRunStatus, new: TrainingRunStatus) -> list[Event]:
    return [Event("Warning", "Note", note) for note in new.notes if note not in old.notes]


def _describe_obstacle(old: list[Condition], new: list[Condition]) -> list[Event]:
    """What newly keeps the pods from starting: told at once, long before it is held against the resource."""
    before, now = find_condition(old, ConditionType.COMPLETE), find_condition(new, ConditionType.COMPLETE)
    if now is None or now.reason not in OBSTACLES or is_true(new, ConditionType.FAILED):
        return []
    return [] if before is not None and before.reason == now.reason else [Event("Warning", now.reason, now.message)]


def _describe_wait(old: list[Condition], new: list[Condition]) -> list[Event]:
    """What a run newly waits for: a name may be misspelt."""
    before, now = find_condition(old, ConditionType.DATASET_READY), find_condition(new, ConditionType.DATASET_READY)
    if now is None or now.reason not in WAITS or (before is not None and before.reason == now.reason):
        return []
    return [Event("Warning" if now.reason in FAILED_WAITS else "Normal", now.reason, now.message)]


def _describe_transitions(old: list[Condition], new: list[Condition]) -> list[Event]:
    """Complete, Failed, Suspended and DatasetReady that have become true."""
    events = []
    for kind in (ConditionType.DATASET_READY, ConditionType.SUSPENDED, ConditionType.COMPLETE, ConditionType.FAILED):
        condition = find_condition(new, kind)
        if condition is not None and is_true(new, kind) and not is_true(old, kind):
            events.append(Event("Warning" if kind == ConditionType.FAILED else "Normal", kind.value, condition.message))
    return events
