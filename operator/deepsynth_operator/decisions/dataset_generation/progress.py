"""status.progress of a DatasetGeneration: the Job's completed indexes, and the sums over the shards' reports.

A shard that is skipped on a second run reports its totals again, and pods vanish with theirs, so a sum never falls.
The publish step counts everything once more; its figures are the last word.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain

from deepsynth_api.report import PublishReport, RenderReport
from deepsynth_api.report_bounds import fold_dropped
from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import (
    ChildJob,
    DroppedRows,
    GenerationProgress,
    PlanStatus,
)
from deepsynth_operator.core.completion_indexes import count_indexes, shift_indexes, shorten_indexes
from deepsynth_operator.core.observed import Children, ObservedJob, ObservedPod
from deepsynth_operator.decisions.dataset_generation.jobs import drop_start, get_shard_pods, list_jobs
from deepsynth_operator.decisions.dataset_generation.usage import drop_usage
from deepsynth_operator.decisions.shared.numbers import compute_percentage, estimate_end, format_number, sum_counts
from deepsynth_operator.decisions.shared.throttle import drop_undisturbed


def compute_rendering(
    status: DatasetGenerationStatus, entry: ChildJob, job: ObservedJob, children: Children, now: datetime
) -> GenerationProgress:
    """Progress while the render Job of `entry` runs. The old progress itself if nothing that is shown has changed."""
    old, plan = status.progress or GenerationProgress(), status.plan
    pods = children.get_pods(entry.name)
    reports = _collect_reports((job for job in list_jobs(status) if job.staging == entry.staging), children)
    working = [pod.report.render for pod in pods if not pod.has_ended and pod.report and pod.report.render]
    rate = sum(report.pages_per_second for report in working)
    rows, pages = sum_counts(report.documents for report in reports), sum_counts(report.pages for report in reports)
    dropped = _sum_dropped([plan.dropped if plan else [], *(report.dropped for report in reports)])
    rows, pages = max(rows, old.rows), max(pages, old.pages)
    left = _count_rows(plan) - rows - sum(item.rows for report in reports for item in report.dropped)
    new = GenerationProgress(
        shards_total=plan.shards if plan else status.ahead.staged_shards if status.ahead else job.completions,
        shards_done=max(entry.first_shard + count_indexes(job.completed_indexes), old.shards_done),
        failed_indexes=shorten_indexes(shift_indexes(job.failed_indexes, entry.first_shard)),
        rows=rows,
        pages=pages,
        bytes=max(sum_counts(report.bytes for report in reports), old.bytes),
        pages_per_second=format_number(rate or _measure_rate(pods)) or old.pages_per_second,
        percentage=max(compute_percentage(_count_rows(plan) - left, _count_rows(plan)), old.percentage),
        dropped=dropped if _total(dropped) >= _total(old.dropped) else old.dropped,
        replaced_characters=max(sum_counts(report.replaced_characters for report in reports), old.replaced_characters),
        waiting=_find_waiting(children.pods),
    )
    if new == old.updated(estimated_completion_time=None, updated_time=None):
        return old
    end = _estimate(left, rows, pages, rate, now) if plan else None
    return new.updated(estimated_completion_time=end, updated_time=now)


def compute_waiting(
    old: GenerationProgress | None, pods: Sequence[ObservedPod], now: datetime
) -> GenerationProgress | None:
    """Progress while plan or publish runs: the old one, with what its pod waits for."""
    waiting = _find_waiting(pods)
    if waiting == (old.waiting if old else ""):
        return old
    return (old or GenerationProgress()).updated(waiting=waiting, updated_time=now)


def compute_planned(old: GenerationProgress | None, plan: PlanStatus, now: datetime) -> GenerationProgress:
    """Progress once the plan is made. old: of its shards that were rendered meanwhile, if there are any."""
    old = old or GenerationProgress()
    done = old.rows + _total(old.dropped)
    return old.updated(
        shards_total=plan.shards,
        dropped=_sum_dropped([plan.dropped, old.dropped]),
        percentage=compute_percentage(done, _count_rows(plan)),
        waiting="",
        updated_time=now,
    )


def compute_published(old: GenerationProgress | None, report: PublishReport, now: datetime) -> GenerationProgress:
    """Progress of what is published, as publish counted it."""
    old = old or GenerationProgress()
    return old.updated(
        shards_done=old.shards_total,
        rows=report.rows,
        pages=report.pages,
        bytes=report.bytes,
        percentage=100,
        waiting="",
        estimated_completion_time=None,
        dropped=report.dropped or old.dropped,
        replaced_characters=report.replaced_characters,
        updated_time=now,
    )


def drop_progress(status: DatasetGenerationStatus) -> DatasetGenerationStatus:
    """`status` without what changes from page to page, and without what is recorded of a Job that starts."""
    return drop_usage(drop_start(status)).updated(conditions=drop_undisturbed(status.conditions))


def _find_waiting(pods: Iterable[ObservedPod]) -> str:
    """What the first waiting pod says it waits for; empty if none waits."""
    reports = [pod.report for pod in pods if pod.report is not None and not pod.has_ended]
    parts = [report.plan or report.render or report.publish for report in reports]
    return next((part.waiting for part in parts if part is not None and part.waiting), "")


def _measure_rate(pods: Iterable[ObservedPod]) -> float | None:
    """Pages per second over the pods that are done, start-up and gaps included; None if none of them drew anything.

    A pod that finds its shard already rendered reports its pages, but no rate.
    """
    done = [
        (pod.started, pod.finished, pod.report.render.pages)
        for pod in pods
        if pod.started and pod.finished and pod.report and pod.report.render and pod.report.render.pages_per_second
    ]
    if not done:
        return None
    span = max(finished for _, finished, _ in done) - min(started for started, _, _ in done)
    return sum(pages for _, _, pages in done) / max(span.total_seconds(), 1.0)  # a cluster's times are whole seconds


def _collect_reports(entries: Iterable[ChildJob], children: Children) -> list[RenderReport]:
    """The report of each shard. If several pods worked on a shard: the report of the one that got further."""
    best: dict[int, RenderReport] = {}
    for pod in chain.from_iterable(get_shard_pods(entry, children) for entry in entries if entry.step == "render"):
        report = pod.report.render if pod.report else None
        if report is not None and (pod.index not in best or report.documents >= best[pod.index].documents):
            best[pod.index] = report
    return list(best.values())


def _sum_dropped(lists: Iterable[Iterable[DroppedRows]]) -> list[DroppedRows]:
    counts: Counter[str] = Counter()
    for items in lists:
        for item in items:
            counts[item.reason] = sum_counts([counts[item.reason], item.rows])
    return fold_dropped([DroppedRows(reason=reason, rows=counts[reason]) for reason in sorted(counts)])


def _total(dropped: Iterable[DroppedRows]) -> int:
    return sum(item.rows for item in dropped)


def _count_rows(plan: PlanStatus | None) -> int:
    return sum(split.rows for split in plan.splits) if plan else 0


def _estimate(left: int, rows: int, pages: int, rate: float, now: datetime) -> datetime | None:
    if rate <= 0 or rows <= 0:
        return None
    return estimate_end(max(left, 0) * pages / rows / rate, now)
