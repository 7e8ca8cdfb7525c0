"""Where a TrainingRun with a live attempt stands, in one word and one sentence."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.v1alpha1 import Attempt, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run_status import RunState
from deepsynth_operator.core.observed import ObservedJob, ObservedPod
from deepsynth_operator.decisions.shared.conditions import Situation
from deepsynth_operator.decisions.shared.starting import describe_start, find_obstacle

RunSituation = Situation[RunState]

_FIRST_REPORT: Final = timedelta(seconds=60)
"""Without a report for so long after all pods ran, the run counts as running: its port may not be reachable."""


def describe_live(
    status: TrainingRunStatus,
    attempt: Attempt,
    job: ObservedJob | None,
    pods: Sequence[ObservedPod],
    *,
    now: datetime,
    poll_seconds: int,
) -> RunSituation:
    """The situation while an attempt is not over."""
    name = f"attempt {attempt.number}"
    if job is None:
        accepted = len(status.attempts) > 1
        return Situation("Starting", "CreatingJob", f"{name}: creating Job {attempt.job}", accepted=accepted)
    if job.suspended:
        return Situation("Queued", "Queued", f"{name}: Job {job.name} waits for its queue")
    if attempt.outcome is not None:
        return Situation("Restarting", attempt.reason, f"{name} is ending: {attempt.message}", check_after=poll_seconds)
    if _is_starting(status, attempt, now):
        obstacle = find_obstacle(pods, now)
        reason = obstacle.reason if obstacle else "Starting"
        return Situation("Starting", reason, f"{name}: {describe_start(pods, now)}", check_after=poll_seconds)
    return Situation("Running", "Running", name, check_after=poll_seconds)


def _is_starting(status: TrainingRunStatus, attempt: Attempt, now: datetime) -> bool:
    if attempt.running_time is None:
        return True
    phase = status.progress.phase if status.progress else ""
    return phase in {"download", "start"} or (not phase and now < attempt.running_time + _FIRST_REPORT)
