"""Few status writes: a transition is written at once, mere progress once per poll interval."""

from collections.abc import Callable
from datetime import datetime, timedelta

from deepsynth_operator.decisions.shared.decision import Status


def hold_back(
    old: Status, new: Status, without_progress: Callable[[Status], Status], *, interval: int, now: datetime
) -> Status:
    """`old` while only progress has changed and was written less than `interval` seconds ago, else `new`.

    without_progress: the status less what changes from step to step or from page to page.
    """
    written = old.progress.updated_time if old.progress is not None else None
    recent = written is not None and written > now - timedelta(seconds=interval)
    return old if recent and without_progress(old) == without_progress(new) else new
