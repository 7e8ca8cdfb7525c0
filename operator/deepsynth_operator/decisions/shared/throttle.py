"""Few status writes: a change of state or of its reason is written at once, everything else a little later.

mere progress           every `progress_seconds` of the settings
details of a new Job    START_DETAILS after its creation: by then its pods often run, which is another write

A clock that has gone back holds nothing back: a time in the future was not recently.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Condition
from deepsynth_operator.decisions.shared.decision import Status

_EARLY: Final = 0.15
"""How much sooner a poll may come, as a part of that."""
START_DETAILS: Final = timedelta(seconds=15)
_UNDISTURBED: Final = frozenset({Reason.STARTING, Reason.RUNNING, Reason.PLANNING, Reason.RENDERING, Reason.PUBLISHING})
_UNSAID: Final = _UNDISTURBED | {Reason.CREATING_JOB}
"""Reasons that say no more than the state does."""


def hold_back_progress(
    old: Status, new: Status, without_progress: Callable[[Status], Status], *, progress_seconds: float, now: datetime
) -> Status:
    """`old` while only progress has changed and was written recently, else `new`.

    without_progress: the status less what changes from step to step or from page to page.
    """
    written = old.progress.updated_time if old.progress is not None else None
    hold = timedelta(seconds=compute_hold(progress_seconds))
    recent = written is not None and now - hold < written < now + hold
    if not recent or old.state != new.state:
        return new
    return old if without_progress(old) == without_progress(new) else new


def compute_hold(progress_seconds: float) -> float:
    """Seconds after a write of progress in which there is no other."""
    return (1 - _EARLY) * progress_seconds


def hold_back_start(
    old: Status,
    new: Status,
    without_start: Callable[[Status], Status],
    *,
    created: datetime | None,
    wait: float,
    now: datetime,
) -> tuple[Status, float]:
    """`old` while there is no more to say than that a new Job exists now, else `new`; and seconds until the next look.

    without_start: the status less what is recorded of a Job that starts. created: when the newest entry was added.
    """
    before, after = (_get_reason(status.conditions) for status in (old, new))
    if created is None or not created - START_DETAILS < now < created + START_DETAILS:
        return new, wait
    left = (created + START_DETAILS - now).total_seconds()
    if after == Reason.CREATING_JOB:
        return new, min(wait, left)
    is_start = before in _UNSAID and after in _UNDISTURBED
    return (old, min(wait, left)) if is_start and without_start(old) == without_start(new) else (new, wait)


def drop_undisturbed(conditions: list[Condition]) -> list[Condition]:
    """Conditions without messages, and without the reasons of an undisturbed life."""
    return [
        condition.updated(message="", reason="" if condition.reason in _UNSAID else condition.reason)
        for condition in conditions
    ]


def _get_reason(conditions: list[Condition]) -> str | None:
    condition = find_condition(conditions, ConditionType.COMPLETE)
    return condition.reason if condition is not None else None
