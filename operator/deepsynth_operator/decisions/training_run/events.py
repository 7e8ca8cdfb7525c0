"""Events of a TrainingRun: attempts, notes about checkpoints, waits, and what both kinds show."""

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.reasons import Reason
from deepsynth_api.report import WARNING
from deepsynth_api.v1alpha1 import Attempt, Condition, TrainingRunStatus
from deepsynth_operator.decisions.shared.decision import Event
from deepsynth_operator.decisions.shared.events import describe_obstacle, describe_transitions
from deepsynth_operator.decisions.training_run.attempts import describe_attempt
from deepsynth_operator.decisions.training_run.inputs import FAILED_WAITS, WAITS
from deepsynth_operator.decisions.training_run.next_attempt.changes import describe_change
from deepsynth_operator.decisions.training_run.next_attempt.nodes import describe_avoided


def compute_run_events(old: TrainingRunStatus, new: TrainingRunStatus) -> tuple[Event, ...]:
    """What `new` says and `old` did not."""
    return (
        *_describe_changes(old, new),
        *_describe_attempts(old, new),
        *(_describe_note(note) for note in new.notes if note not in old.notes),
        *describe_obstacle(old.conditions, new.conditions),
        *_describe_wait(old.conditions, new.conditions),
        *describe_transitions(old.conditions, new.conditions),
    )


def _describe_note(note: str) -> Event:
    return Event("Warning" if note.startswith(WARNING) else "Normal", Reason.NOTE, note)


def _describe_changes(old: TrainingRunStatus, new: TrainingRunStatus) -> list[Event]:
    known = {(entry.time, entry.attempt) for entry in old.history}
    return [
        Event("Normal", Reason.SETTINGS_CHANGED, describe_change(entry))
        for entry in new.history
        if (entry.time, entry.attempt) not in known
    ]


def _describe_attempts(old: TrainingRunStatus, new: TrainingRunStatus) -> list[Event]:
    events = []
    known = {attempt.number: attempt for attempt in old.attempts}
    for attempt in new.attempts:
        before = known.get(attempt.number)
        # Of the first one, the status says the same.
        if before is None and attempt.number > 1:
            avoided = describe_avoided(new, attempt)
            where = f"in the pods of Job {attempt.job}" if attempt.in_place else f"Job {attempt.job}"
            note = f"attempt {attempt.number}: {where}{avoided and f'; {avoided}'}"
            events.append(Event("Normal", Reason.ATTEMPT_STARTED, note))
        has_ended = attempt.end_time is not None and (before is None or before.end_time is None)
        # The run that this attempt completes says so itself.
        if has_ended and attempt.outcome != "Succeeded":
            name, message = f"Attempt{attempt.outcome}", describe_attempt(attempt)
            events.append(Event("Normal" if _is_harmless(attempt) else "Warning", name, message))
    return events


def _is_harmless(attempt: Attempt) -> bool:
    """Whether nobody has to do anything about its end: the reason of the disruption has no remedy."""
    known = next((reason for reason in Reason if reason == attempt.reason), None)
    return attempt.outcome == "Suspended" or (attempt.outcome == "Disrupted" and known is not None and not known.remedy)


def _describe_wait(old: list[Condition], new: list[Condition]) -> list[Event]:
    """What a run newly waits for: a name may be misspelt."""
    before, now = find_condition(old, ConditionType.DATASET_READY), find_condition(new, ConditionType.DATASET_READY)
    if now is None or now.reason not in WAITS or (before is not None and before.reason == now.reason):
        return []
    return [Event("Warning" if now.reason in FAILED_WAITS else "Normal", now.reason, now.message)]
