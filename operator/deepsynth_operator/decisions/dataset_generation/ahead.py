"""Rendering ahead of the plan: while the plan step reads on, a second Job renders the shards that it has staged.

    plan-1     reads ............................................. Succeeded
    render-1        shards 0-2
    render-2                  shards 3-7
    render-3                             shards 8-19 ................. continues as the live Job
    render-4                                                                 the rest

At most one such Job is live, next to that of the plan. Its entry is in status.ahead; one that succeeded moves to
status.jobs, before the entry of the plan. After one that did not succeed there is no other while the plan reads: the
next Job after the plan renders those shards, and if they fail again, so does the generation. What has failed them may
be over then: another generation of the same source may have removed what was staged, and the plan stages it again.
If the plan ends without a result, the Job is stopped; what it has rendered by then stays staged.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, RenderAhead
from deepsynth_operator.core.observed import ObservedGeneration, ObservedPod
from deepsynth_operator.decisions.dataset_generation.jobs import (
    build_entry,
    count_rendered,
    end_job,
    get_ahead,
    get_live,
    is_in_folder,
    keep_newest,
)
from deepsynth_operator.decisions.dataset_generation.queue_job import count_room, find_queue_job
from deepsynth_operator.decisions.shared.decision import Cause
from deepsynth_operator.decisions.shared.starts import find_blocker
from deepsynth_operator.manifests.render_job import MAX_SHARDS


def take_ahead(status: DatasetGenerationStatus, entry: ChildJob) -> DatasetGenerationStatus:
    """`status` with the entry of the Job that renders ahead, as it is now."""
    if status.ahead is None:
        raise AssertionError("nothing is rendered ahead")
    if entry.outcome == "Succeeded":
        return _insert(status, entry).updated(ahead=status.ahead.updated(job=None))
    return status.updated(ahead=status.ahead.updated(job=entry))


def note_staged(status: DatasetGenerationStatus, pods: Iterable[ObservedPod], now: datetime) -> DatasetGenerationStatus:
    """`status.ahead` as the pod of the plan step reports it, whose Job is live. pods: those of that Job.

    A pod that starts again stages from the beginning; what is staged stays. Unless the source has changed.
    """
    reports = (pod.report.plan for pod in pods if pod.is_at_work and pod.report is not None)
    report = next((report for report in reports if report is not None and report.staging), None)
    if report is None or report.staged_shards <= 0:
        return status
    ahead, staged = status.ahead, min(report.staged_shards, MAX_SHARDS)
    if ahead is not None and ahead.staging == report.staging:
        return status.updated(ahead=ahead.updated(staged_shards=max(staged, ahead.staged_shards)))
    if ahead is not None and ahead.job is not None:
        status = _insert(status, _stop(status, ahead.job, "the source has changed since the plan step began", now))
    begun = RenderAhead(revision=report.revision, staging=report.staging, staged_shards=staged)
    progress = status.progress if is_in_folder(status.updated(ahead=None), report.staging) else None
    return status.updated(ahead=begun, progress=progress)


def start_ahead(
    status: DatasetGenerationStatus, observed: ObservedGeneration, image: str, now: datetime
) -> DatasetGenerationStatus:
    """Add the entry of a Job for the shards that no Job has rendered, if there are some and room for pods."""
    ahead, live, children = status.ahead, get_live(status), observed.children
    plan = children.find_job(live.name) if live is not None else None
    if ahead is None or ahead.job is not None or live is None or plan is None:
        return status
    done = count_rendered(status.jobs, ahead.staging, ahead.staged_shards)
    queue_job = find_queue_job(observed.generation, children)
    # A plan Job of an earlier version may be in the queue itself: then there is no quota for others.
    is_ready = not (plan.is_finished or plan.is_failing or plan.suspended or plan.is_queued)
    if done >= ahead.staged_shards or not is_ready or count_room(observed.generation, plan, queue_job) < 2:
        return status
    others = replace(
        children,
        jobs=tuple(job for job in children.jobs if job not in (plan, queue_job)),
        pods=tuple(pod for pod in children.pods if pod.job != plan.name),
    )
    if find_blocker(others, now, timedelta(), now) is not None:
        return status
    entry = build_entry(observed.generation, status, "render", image, now).updated(
        staging=ahead.staging, first_shard=done, shards=ahead.staged_shards - done
    )
    return status.updated(ahead=ahead.updated(job=entry))


def settle_ahead(status: DatasetGenerationStatus, now: datetime) -> DatasetGenerationStatus:
    """`status` when the plan step is over. If it has made the plan, the Job that renders ahead is the live one now."""
    entry, plan, last = get_ahead(status), status.plan, status.jobs[-1]
    status = status.updated(ahead=None)
    if entry is None:
        return status
    end = entry.first_shard + (entry.shards or 0)
    is_of_plan = plan is not None and entry.staging == plan.staging and end <= plan.shards
    if is_of_plan and entry.outcome is None:
        return status.updated(jobs=keep_newest([*status.jobs, entry]))
    return _insert(status, _stop(status, entry, f"Job {last.name} has ended, {last.reason}", now))


def _stop(status: DatasetGenerationStatus, entry: ChildJob, message: str, now: datetime) -> ChildJob:
    if entry.outcome is not None:
        return entry
    done = status.progress.shards_done if status.progress is not None else 0
    return end_job(entry, Cause("Disrupted", Reason.PLAN_ENDED, message), now).updated(shards_done=done)


def _insert(status: DatasetGenerationStatus, entry: ChildJob) -> DatasetGenerationStatus:
    """Add the entry before the last one, which is that of the plan step."""
    return status.updated(jobs=keep_newest([*status.jobs[:-1], entry, *status.jobs[-1:]]))
