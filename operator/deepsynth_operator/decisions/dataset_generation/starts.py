"""What the next Job has to wait for: the policies in the order of `policies.py`."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import GenerationState
from deepsynth_operator.decisions.dataset_generation.jobs import StepName, compute_next_step, list_tries
from deepsynth_operator.decisions.dataset_generation.queue_job import get_reason, needs_queue_job
from deepsynth_operator.decisions.dataset_generation.view import GenerationView
from deepsynth_operator.decisions.shared.decision import Situation
from deepsynth_operator.decisions.shared.ends import SUSPENDED
from deepsynth_operator.decisions.shared.queues import describe_wait
from deepsynth_operator.decisions.shared.starts import compute_restart_delay, find_blocker, is_due
from deepsynth_operator.manifests.names import build_queue_job_name
from deepsynth_operator.manifests.render_job import DEFAULT_GRACE_SECONDS

GenerationSituation = Situation[GenerationState]

STATES: Final[dict[StepName, GenerationState]] = {
    "plan": "Planning",
    "render": "Rendering",
    "publish": "Publishing",
}
_BLOCKED_SECONDS: Final = 5.0


def suspended(view: GenerationView) -> GenerationSituation | None:
    is_suspended = view.generation.spec.suspend
    return Situation("Suspended", Reason.SUSPENDED_BY_USER, SUSPENDED) if is_suspended else None


def delayed(view: GenerationView) -> GenerationSituation | None:
    due, last = compute_due_time(view.status), view.last
    if last is None or due is None or is_due(last.end_time or last.start_time, due, view.now):
        return None
    message = f"{last.message}; again at {due:%H:%M:%S} UTC"
    return _wait(view, last.reason, message, (due - view.now).total_seconds())


def queued(view: GenerationView) -> GenerationSituation | None:
    if not needs_queue_job(view.observed):
        return None
    job = view.queue_job
    if job is None or job.deleting:
        name = build_queue_job_name(view.generation)
        situation = _wait(view, Reason.CREATING_JOB, f"creating Job {name}", _BLOCKED_SECONDS)
        return situation and replace(situation, accepted=view.last is not None)
    if not job.suspended:
        return None
    obstacle = view.last.obstacle if view.last is not None else ""
    wait = describe_wait(job, get_reason(view.status), obstacle)
    return Situation("Queued", wait.reason, wait.message, check_after=wait.check_after)


def blocked(view: GenerationView) -> GenerationSituation | None:
    template, end = view.generation.spec.template, view.last.end_time if view.last else None
    grace = timedelta(seconds=template.termination_grace_period_seconds or DEFAULT_GRACE_SECONDS)
    children = view.observed.children
    others = replace(children, jobs=tuple(job for job in children.jobs if job != view.queue_job))
    blocker = find_blocker(others, end, grace, view.now)
    return _wait(view, Reason.WAITING_FOR_PODS, blocker, _BLOCKED_SECONDS) if blocker is not None else None


def compute_due_time(status: DatasetGenerationStatus) -> datetime | None:
    """When the next Job may start; None: at once. Each disruption in a row doubles the delay."""
    tries = list_tries(status)
    disrupted = sum(1 for _ in takewhile(lambda job: job.outcome == "Disrupted", reversed(tries)))
    if disrupted == 0:
        return None
    last = tries[-1]
    return (last.end_time or last.start_time) + compute_restart_delay(disrupted)


def _wait(view: GenerationView, reason: str, message: str, check_after: float) -> GenerationSituation | None:
    step = compute_next_step(view.status)
    if step is None:
        return None
    return Situation(name_state(view.status, step), reason, message, check_after=check_after)


def name_state(status: DatasetGenerationStatus, step: StepName) -> GenerationState:
    """The state while `step` is next or under way. Starting ends with the first container and never comes back."""
    has_run = any(entry.running_time is not None for entry in status.jobs)
    return STATES[step] if has_run or step != "plan" else "Starting"
