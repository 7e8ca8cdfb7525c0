"""What a TrainingRun shows: the situation while an attempt is live, then state, conditions and printer columns."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, get_args

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.counted import counted
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.settings.result_settings import Metric
from deepsynth_api.v1alpha1.training_run_status import CheckpointStatus, RunSummary, TrainingProgress
from deepsynth_operator.core.observed import ObservedJob, ObservedPod, Refusal
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.shared.conditions import update_conditions
from deepsynth_operator.decisions.shared.decision import Situation
from deepsynth_operator.decisions.shared.numbers import format_eta
from deepsynth_operator.decisions.shared.obstacles import describe_missing, describe_start, find_obstacle
from deepsynth_operator.decisions.shared.queues import describe_wait
from deepsynth_operator.decisions.training_run.attempts import get_live
from deepsynth_operator.decisions.training_run.inputs import describe_pinned
from deepsynth_operator.decisions.training_run.next_attempt.elastic import describe_fewer, has_fewer_nodes
from deepsynth_operator.decisions.training_run.next_attempt.nodes import describe_avoided
from deepsynth_operator.decisions.training_run.progress import MAX_METRIC_CHARACTERS, STARTING_PHASES
from deepsynth_operator.decisions.training_run.starts import RunSituation

_SHARES: Final = frozenset(get_args(Metric)) - {"loss"}
"""Metrics that are shares, from 0 to 1."""
_MOVING: Final = frozenset({"Running", "Complete"})
"""States in which the rate of the last report holds, or is the run's last word."""
_BEFORE_WORK: Final = frozenset({"Queued", "Starting"})
_WAITING: Final = frozenset({"Queued", "Restarting", "Suspended"})
_LATE: Final = 1.25
"""When a running run is looked at although no pod has reported anything new, as a part of progress_seconds."""
_REFUSED_SECONDS: Final = 30.0
_LATE_START: Final = 0.25
_MAX_START_SECONDS: Final = 60.0
"""How late the end of a start may be seen, as a part of what it took, and in seconds. What happens to its pods is seen
at once; but thousands of runs may wait for a node, for days."""
_SHOWN: Final = timedelta(seconds=1)
"""How long a state must have lasted to be shown when it is over. Kubelets write whole seconds."""
_FIRST_REPORT: Final = timedelta(seconds=60)
"""This long after all pods have started, a run without any report counts as running: its port may be unreachable."""


def describe_live(
    run: TrainingRun,
    status: TrainingRunStatus,
    attempt: Attempt,
    job: ObservedJob | None,
    pods: Sequence[ObservedPod],
    *,
    settings: Settings,
    now: datetime,
) -> RunSituation:
    """The situation while an attempt is not over."""
    name, soon = f"attempt {attempt.number}", settings.poll_seconds
    fewer = describe_fewer(run, status, attempt, is_queued=job is not None and job.is_queued)
    also = "".join(f"; {text}" for text in (fewer, describe_avoided(status, attempt)) if text)
    if job is None:
        accepted = len(status.attempts) > 1
        return Situation(
            "Starting", Reason.CREATING_JOB, f"{name}: creating Job {attempt.job}{also}", accepted=accepted
        )
    if job.suspended:
        wait = describe_wait(job, Reason.QUEUED, attempt.obstacle)
        return Situation("Queued", wait.reason, f"{name}: {wait.message}{also}", check_after=wait.check_after)
    if attempt.outcome is not None:
        return Situation("Restarting", attempt.reason, f"{name} is ending: {attempt.message}", check_after=soon)
    if job.could_start is None and job.started is not None:
        return Situation(
            "Starting", Reason.STARTING, f"{name}: the queue has admitted {counted(job.completions or 0, 'pod')}{also}"
        )
    if _is_starting(status, attempt, now):
        obstacle = find_obstacle(pods, now)
        reason = obstacle.reason if obstacle else Reason.STARTING
        check_after = soon if any(pod.is_at_work for pod in pods) else _wait_longer(attempt, job, soon, now)
        if missing := describe_missing(job, pods, now):
            return Situation("Starting", Reason.PODS_NOT_CREATED, f"{name}: {missing}", check_after=check_after)
        return Situation("Starting", reason, f"{name}: {describe_start(pods, now)}{also}", check_after=check_after)
    # Until then it is looked at when its pods report something new, a little sooner than that.
    check_after = _LATE * settings.progress_seconds
    return Situation("Running", Reason.RUNNING, f"{name}{also}", check_after=check_after)


def _wait_longer(attempt: Attempt, job: ObservedJob, soon: float, now: datetime) -> float:
    """Seconds until the next look at pods that all wait to start."""
    waited = now - (job.could_start or attempt.start_time)
    return max(min(waited.total_seconds() * _LATE_START, _MAX_START_SECONDS), soon)


def has_worked_unseen(before: TrainingRunStatus, shown: RunSituation, pods: Sequence[ObservedPod]) -> bool:
    """Whether an attempt, as `shown` describes it, has worked for a second or more, and `before` does not say so.

    Only of pods that have all ended: what stops those that work does not wait for a word about them.
    """
    if before.state not in _BEFORE_WORK or shown.state != "Running":
        return False
    starts = [pod.started for pod in pods if pod.started is not None]
    ends = [pod.finished for pod in pods if pod.finished is not None]
    if not pods or len(starts) < len(pods) or len(ends) < len(pods):
        return False
    return min(ends) - max(starts) >= _SHOWN


def describe_refusal(status: TrainingRunStatus, attempt: Attempt, refusal: Refusal | None) -> RunSituation | None:
    """The situation while the children of an attempt cannot be created, and may be later. It stays until they are."""
    shown = find_condition(status.conditions, ConditionType.COMPLETE)
    if refusal is not None:
        reason, message = refusal.reason, f"attempt {attempt.number}: {refusal.message}"
    elif shown is not None and shown.reason == Reason.POD_GROUPS_MISSING:
        reason, message = shown.reason, shown.message
    else:
        return None
    return Situation("Starting", reason, message, check_after=_REFUSED_SECONDS)


def describe_run(
    run: TrainingRun, status: TrainingRunStatus, situation: RunSituation, now: datetime
) -> TrainingRunStatus:
    """`status` with state, conditions and columns for `situation`."""
    pinned = status.start_time is not None
    published = situation.state == "Complete" and run.spec.publish is not None
    where = run.spec.publish.uri if published and run.spec.publish else ""
    wait = (situation.reason, situation.message)
    extra = {
        ConditionType.DATASET_READY: (True, Reason.DATASETS_PINNED, describe_pinned(status))
        if pinned
        else (False, *wait),
        ConditionType.PUBLISHED: (published, Reason.PUBLISHED if published else Reason.NOT_PUBLISHED, where),
    }
    generation = run.metadata.generation
    return status.updated(
        observed_generation=generation,
        conditions=update_conditions(status.conditions, situation, extra, now=now, generation=generation),
        state=situation.state,
        progress=_stop_estimates(status.progress) if situation.state in _WAITING else status.progress,
        summary=_summarize(run, status, situation),
    )


def _stop_estimates(progress: TrainingProgress | None) -> TrainingProgress | None:
    """Progress without what only holds while steps are made."""
    return progress.updated(samples_per_second="", estimated_completion_time=None) if progress is not None else None


def _is_starting(status: TrainingRunStatus, attempt: Attempt, now: datetime) -> bool:
    if attempt.running_time is None:
        return True
    phase = status.progress.phase if status.progress else ""
    return phase in STARTING_PHASES or (not phase and now < attempt.running_time + _FIRST_REPORT)


def _describe_best(best: CheckpointStatus | None) -> str:
    """Such as `cer 3.4% (step 1200)` or `loss 1.835 (step 1200)`; empty while no checkpoint was evaluated."""
    if best is None or not best.value:
        return ""
    metric = best.metric[:MAX_METRIC_CHARACTERS]
    return f"{metric} {_format_best(metric, best.value[:MAX_METRIC_CHARACTERS])} (step {best.step})"


def _format_best(metric: str, value: str) -> str:
    """A share of 1 as a percentage, a loss with four digits; as it is, if a pod reports something else."""
    try:
        number = float(value)
    except ValueError:
        return value
    if not math.isfinite(number):
        return value
    return f"{number:.1%}" if metric in _SHARES else f"{number:.4g}"


def _show_nodes(run: TrainingRun, status: TrainingRunStatus) -> str:
    """Those of the spec, and before them those of the live attempt if it has fewer."""
    live = get_live(status)
    fewer = f"{live.nodes}/" if live is not None and has_fewer_nodes(run, live) else ""
    return f"{fewer}{run.spec.num_nodes}"


def _summarize(run: TrainingRun, status: TrainingRunStatus, situation: RunSituation) -> RunSummary:
    """The strings of the printer columns: a column is one JSONPath and prints raw numbers.

    A run that waits or restarts has no rate and no time at which it ends, even if the last attempt reported one.
    """
    progress = status.progress or TrainingProgress()
    known, moves = status.progress is not None, situation.state in _MOVING
    return RunSummary(
        progress=f"{progress.percentage}%" if known else "",
        step=f"{progress.step}/{progress.total_steps}" if progress.total_steps else "",
        loss=progress.loss,
        eta=format_eta(progress.estimated_completion_time, progress.updated_time) if moves else "",
        checkpoint=str(status.checkpoints[0].step) if status.checkpoints else "",
        best=_describe_best(status.best_checkpoint),
        nodes=_show_nodes(run, status),
        dataset=",".join(dataset.name for dataset in run.spec.datasets),
        samples_per_second=progress.samples_per_second if moves else "",
        model=status.model.uri if status.model else run.spec.model.uri,
        reason=situation.reason,
    )
