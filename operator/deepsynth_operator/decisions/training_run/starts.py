"""What the next attempt has to wait for: the policies in the order of `policies.py`."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run_status import RunState
from deepsynth_operator.decisions.shared.decision import Situation
from deepsynth_operator.decisions.shared.ends import SUSPENDED
from deepsynth_operator.decisions.shared.queues import describe_wait
from deepsynth_operator.decisions.shared.starts import compute_restart_delay, find_blocker, is_due
from deepsynth_operator.decisions.training_run.attempts import get_grace, is_before_continuation, is_requeued
from deepsynth_operator.decisions.training_run.inputs import find_wait
from deepsynth_operator.decisions.training_run.next_attempt.elastic import RESIZED
from deepsynth_operator.decisions.training_run.view import RunView

RunSituation = Situation[RunState]

MAX_START_DELAY_SECONDS: Final = 120
_BLOCKED_SECONDS: Final = 5.0


def suspended(view: RunView) -> RunSituation | None:
    if not view.run.spec.suspend:
        return None
    is_saving = any(pod.is_at_work for pod in view.observed.children.pods)
    message = SUSPENDED + ("; its pods still save and end" if is_saving else "")
    return Situation("Suspended", Reason.SUSPENDED_BY_USER, message)


def waits_for_inputs(view: RunView) -> RunSituation | None:
    """There is no state of its own for a missing model: it is Pending, with the reason in the conditions."""
    wait = find_wait(view.observed) if view.status.start_time is None else None
    if wait is None:
        return None
    return Situation("WaitingForDataset" if wait.for_dataset else "Pending", wait.reason, wait.message)


def ends_pods(view: RunView) -> RunSituation | None:
    job, last = view.kept_job, view.last
    if job is None or last is None or is_requeued(view.status) or job.restarted_after == last.number:
        return None
    message = f"Job {job.name} ends its pods and keeps its quota; {last.outcome}: {last.message}"
    return Situation("Restarting", last.reason, message, check_after=_BLOCKED_SECONDS)


def queued_again(view: RunView) -> RunSituation | None:
    job = view.kept_job
    if job is None or not job.suspended or view.is_held:
        return None
    wait = describe_wait(job, Reason.REQUEUED_BY_QUEUE, view.last.obstacle if view.last is not None else "")
    return Situation("Queued", wait.reason, wait.message, check_after=wait.check_after)


def delayed(view: RunView) -> RunSituation | None:
    last = view.last
    if last is None or not _waits_for_controller(view):
        return None
    due = compute_due_time(view.run, view.status)
    if is_due(last.end_time or last.start_time, due, view.now):
        return None
    message = f"attempt {last.number + 1} follows {due:%H:%M:%S} UTC; {last.outcome}: {last.message}"
    return Situation("Restarting", last.reason, message, check_after=(due - view.now).total_seconds())


def blocked(view: RunView) -> RunSituation | None:
    if not _waits_for_controller(view):
        return None
    end = view.last.end_time if view.last is not None else None
    children = view.observed.children
    if view.is_held:  # nothing but its pods has to go
        children = replace(children, jobs=tuple(job for job in children.jobs if job != view.kept_job))
    blocker = find_blocker(children, end, get_grace(view.run), view.now)
    if blocker is None:
        return None
    if view.last is not None and view.last.reason in RESIZED and not is_before_continuation(view.status):
        message = f"{view.last.message}; {blocker}"
        return Situation("Restarting", view.last.reason, message, check_after=_BLOCKED_SECONDS)
    return Situation("Restarting", Reason.WAITING_FOR_PODS, blocker, check_after=_BLOCKED_SECONDS)


def released(view: RunView) -> RunSituation | None:
    job, last = view.kept_job, view.last
    if job is None or last is None or not view.is_held:
        return None
    message = f"Job {job.name} starts its pods again"
    return Situation("Restarting", last.reason, message, check_after=_BLOCKED_SECONDS)


def may_release(view: RunView) -> bool:
    """Whether the pods of a Job that is held may start again."""
    return view.is_held and delayed(view) is None and blocked(view) is None


def _waits_for_controller(view: RunView) -> bool:
    """Whether pods start only by what the controller does, and not because a queue resumes their Job."""
    return view.kept_job is None or view.is_held


def compute_due_time(run: TrainingRun, status: TrainingRunStatus) -> datetime:
    """When the attempt after the last one, which is over, may start."""
    last = status.attempts[-1]
    end = last.end_time or last.start_time
    if last.outcome in {"Suspended", "Succeeded"} or is_before_continuation(status):
        return end
    delay = compute_restart_delay(status.attempts_without_progress)
    if last.outcome == "Disrupted" and last.reason == Reason.NOT_STARTED:
        delay += timedelta(seconds=int(_draw(run, last) * MAX_START_DELAY_SECONDS))
    return end + delay


def _draw(run: TrainingRun, attempt: Attempt) -> float:
    """A number in [0, 1) that differs between runs, so that two gangs that block each other do not retry together.

    Drawn from the uid and not at random: the decision stays a function of what it sees.
    """
    digest = hashlib.sha256(f"{run.metadata.uid}/{attempt.number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
