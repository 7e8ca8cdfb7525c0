"""What a DatasetGeneration shows: the situation while a Job is live, then state, conditions and printer columns."""

from datetime import datetime
from typing import Final

from deepsynth_api.conditions import ConditionType
from deepsynth_api.counted import counted
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, GenerationProgress, GenerationSummary
from deepsynth_operator.core.observed import Children
from deepsynth_operator.core.settings import PROGRESS_POLLS, Settings
from deepsynth_operator.decisions.dataset_generation.jobs import get_ahead
from deepsynth_operator.decisions.dataset_generation.starts import GenerationSituation, name_state
from deepsynth_operator.decisions.shared.conditions import update_conditions
from deepsynth_operator.decisions.shared.decision import Situation
from deepsynth_operator.decisions.shared.numbers import format_eta
from deepsynth_operator.decisions.shared.obstacles import describe_missing, describe_start, find_obstacle
from deepsynth_operator.decisions.shared.queues import describe_wait

_WAITING: Final = frozenset({"Queued", "Suspended"})
_MAX_REASONS: Final = 3
"""Reasons of dropped rows in a message; status.progress.dropped has all."""


def describe_live(
    status: DatasetGenerationStatus, children: Children, *, settings: Settings, now: datetime
) -> GenerationSituation:
    """The situation while the last Job of `status` is not over."""
    entry, ahead = status.jobs[-1], get_ahead(status)
    job, pods = children.find_job(entry.name), children.get_pods(entry.name)
    state = name_state(status, entry.step)
    if job is None:
        first = entry.step == "plan" and entry.number == 1
        return Situation(state, Reason.CREATING_JOB, f"creating Job {entry.name}", accepted=not first)
    if job.suspended:
        wait = describe_wait(job, Reason.QUEUED, entry.obstacle)
        return Situation("Queued", wait.reason, wait.message, check_after=wait.check_after)
    obstacle = None if any(pod.is_at_work for pod in pods) else find_obstacle(pods, now)
    check_after = settings.progress_seconds / PROGRESS_POLLS
    if missing := describe_missing(job, pods, now):
        return Situation(state, Reason.PODS_NOT_CREATED, missing, check_after=check_after)
    message = describe_start(pods, now)
    if ahead is not None and ahead.outcome is None:
        message = f"{message}; {describe_ahead(ahead)}, {describe_start(children.get_pods(ahead.name), now)}"
    return Situation(state, obstacle.reason if obstacle else state, message, check_after=check_after)


def describe_ahead(entry: ChildJob) -> str:
    """What a Job does while the plan step still reads."""
    last = entry.first_shard + (entry.shards or 1) - 1
    shards = f"shard {last}" if last == entry.first_shard else f"shards {entry.first_shard}-{last}"
    return f"renders {shards} while the plan is made"


def describe_dropped(progress: GenerationProgress | None) -> str:
    """For the message of a complete generation: "; 15 rows dropped: 12 TextTooShort, 3 Duplicate"."""
    dropped = sorted(progress.dropped if progress else [], key=lambda entry: (-entry.rows, entry.reason))
    if not dropped:
        return ""
    reasons = [f"{entry.rows} {entry.reason}" for entry in dropped[:_MAX_REASONS]]
    more = ", and others" if len(dropped) > _MAX_REASONS else ""
    return f"; {counted(sum(entry.rows for entry in dropped), 'row')} dropped: {', '.join(reasons)}{more}"


def describe_generation(
    generation: DatasetGeneration, status: DatasetGenerationStatus, situation: GenerationSituation, now: datetime
) -> DatasetGenerationStatus:
    """`status` with state, conditions and columns for `situation`."""
    published, number = status.output is not None, generation.metadata.generation
    where = status.output.uri if status.output else ""
    extra = {ConditionType.PUBLISHED: (published, Reason.PUBLISHED if published else Reason.NOT_PUBLISHED, where)}
    return status.updated(
        observed_generation=number,
        conditions=update_conditions(status.conditions, situation, extra, now=now, generation=number),
        state=situation.state,
        progress=_stop_estimates(status.progress) if situation.state in _WAITING else status.progress,
        summary=_summarize(generation, status, situation),
    )


def _stop_estimates(progress: GenerationProgress | None) -> GenerationProgress | None:
    """Progress without what only holds while pages are rendered."""
    return progress.updated(pages_per_second="", estimated_completion_time=None) if progress is not None else None


def _summarize(
    generation: DatasetGeneration, status: DatasetGenerationStatus, situation: GenerationSituation
) -> GenerationSummary:
    """The strings of the printer columns: a column is one JSONPath and prints raw numbers.

    A generation that waits has no rate and no time at which it ends, even if a pod reported one before.
    """
    progress, reason, waits = status.progress, situation.reason, situation.state in {"Queued", "Suspended", "Failed"}
    source = generation.spec.preset or (generation.spec.source.uri if generation.spec.source else "")
    if progress is None:
        return GenerationSummary(source=source, output=generation.spec.output.uri, reason=reason)
    return GenerationSummary(
        progress=f"{progress.percentage}%",
        pages=str(progress.pages),
        rate=f"{progress.pages_per_second}/s" if progress.pages_per_second and not waits else "",
        eta=format_eta(progress.estimated_completion_time, progress.updated_time) if not waits else "",
        shards=f"{progress.shards_done}/{progress.shards_total}" if progress.shards_total else "",
        source=source,
        output=generation.spec.output.uri,
        reason=reason,
    )
