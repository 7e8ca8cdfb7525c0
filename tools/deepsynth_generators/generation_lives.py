"""Everything that may be seen of a DatasetGeneration, for `lives.walk`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any, Final

from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.reasons import Reason
from deepsynth_api.report import Failure, PlanReport, PublishReport, Report
from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_generators.lives import (
    BEGIN,
    OBSTACLES,
    Sight,
    World,
    build_ended_pod,
    build_job,
    build_pending_pod,
    build_pod,
    group_reason,
    see_children,
    see_common_ends,
    see_waits,
)
from deepsynth_operator.core.observed import Children, ObservedGeneration, ObservedJob, ObservedPod, Refusal
from deepsynth_operator.decisions.dataset_generation.decide import decide_generation
from deepsynth_operator.decisions.dataset_generation.failures import MAX_LOST_REPORTS
from deepsynth_operator.decisions.dataset_generation.jobs import MAX_JOBS_WITHOUT_PROGRESS as _MAX_FRUITLESS
from deepsynth_operator.decisions.dataset_generation.jobs import count_rendered, get_ahead, get_last, get_live

_DEADLINE_SECONDS: Final = 10**6
_SHARDS: Final = 2
_DRAFT: Final = "draft"
_QUEUE_JOB: Final = "pages-queue"


def build_generation_world() -> World[DatasetGeneration]:
    """A generation of two shards: without a queue, with one, and after nine Jobs that made no progress.

    The shards may be rendered while the plan is made.
    """
    spec = {
        "source": {"uri": "docstrings://"},
        "output": {"uri": "pvc://data/pages"},
        "activeDeadlineSeconds": _DEADLINE_SECONDS,
    }
    metadata = {"name": "pages", "uid": "uid-pages", "generation": 1}
    fresh = DatasetGeneration.model_validate({"metadata": metadata, "spec": spec})
    queued = fresh.updated(metadata=fresh.metadata.updated(labels={QUEUE_NAME: "team"}))
    disrupted = [
        {
            "step": "plan",
            "name": f"pages-plan-{number}",
            "number": number,
            "startTime": BEGIN,
            "runningTime": BEGIN,
            "endTime": BEGIN,
            "outcome": "Disrupted",
            "reason": Reason.NODE_LOST,
        }
        for number in range(1, _MAX_FRUITLESS)
    ]
    status = {"state": "Planning", "startTime": BEGIN, "jobs": disrupted}
    failing = DatasetGeneration.model_validate({"metadata": metadata, "spec": spec, "status": status})
    return World((fresh, queued, failing), _look, decide_generation, _key)


def _key(generation: DatasetGeneration) -> object:
    status, last = generation.status, get_last(generation.status)
    job = last and (last.step, last.outcome, last.reason, bool(last.uid))
    have_run = [entry.running_time is not None for entry in status.jobs]
    ran = any(have_run), *have_run[-2:]
    ended = status.jobs[:-1] if get_live(status) else status.jobs
    lost = min(_count_last(entry.reason == Reason.REPORT_LOST for entry in ended), MAX_LOST_REPORTS)
    fruitless = _count_last(entry.outcome == "Disrupted" for entry in ended)
    row = fruitless if fruitless >= _MAX_FRUITLESS - 1 else min(fruitless, 1)
    shards = status.plan.shards if status.plan else None
    staging = status.plan.staging if status.plan else _DRAFT
    ahead = get_ahead(status)
    rendered = count_rendered(status.jobs, staging, _SHARDS), ahead and (ahead.outcome, bool(ahead.uid), ahead.shards)
    is_queued = QUEUE_NAME in generation.metadata.labels
    return generation.spec.suspend, is_queued, status.state, group_reason(status), job, ran, row, lost, shards, rendered


def _count_last(holds: Iterable[bool]) -> int:
    """For how many of the last ones it holds, without a gap."""
    return sum(1 for _ in takewhile(bool, reversed([*holds])))


def _look(generation: DatasetGeneration, now: datetime) -> Iterator[Sight[DatasetGeneration]]:
    """What is seen of a generation in a queue, next to a queue Job that is missing, waits, or is admitted.

    Without a Job of the step it waits for each reason, else for one: what follows does not depend on the reason.
    """
    for sight in _look_at_steps(generation, now):
        if QUEUE_NAME not in generation.metadata.labels:
            yield sight
            continue
        children = sight.observed.children
        for queue_job in _see_queue_jobs(generation, 1 if children.jobs else None, now):
            jobs = tuple(replace(job, queue_job=_QUEUE_JOB) for job in children.jobs)
            seen = replace(children, jobs=(*jobs, *queue_job))
            yield replace(sight, observed=replace(sight.observed, children=seen))


def _see_queue_jobs(
    generation: DatasetGeneration, reasons: int | None, now: datetime
) -> Iterator[tuple[ObservedJob, ...]]:
    job = build_job(_QUEUE_JOB, "queue", generation.spec.parallelism, now, queue_labels=generation.metadata.labels)
    yield ()
    yield (job,)
    for wait in islice(see_waits(), reasons):
        yield (replace(job, suspended=True, started=None, wait=wait),)


def _look_at_steps(generation: DatasetGeneration, now: datetime) -> Iterator[Sight[DatasetGeneration]]:
    toggled = generation.updated(spec=generation.spec.updated(suspend=not generation.spec.suspend))
    live = get_live(generation.status)
    if live is None:
        yield Sight(toggled, ObservedGeneration(toggled))
        yield Sight(generation, ObservedGeneration(generation))
        yield Sight(generation, ObservedGeneration(generation), seconds=1000)
        last = get_last(generation.status)
        if last is not None:
            there = see_children(build_job(last.name, last.step, 1, now))
            yield Sight(generation, ObservedGeneration(generation, there), seconds=1000)
            yield Sight(toggled, ObservedGeneration(toggled, there))
            yield Sight(generation, ObservedGeneration(generation), seconds=_DEADLINE_SECONDS + 1)
        return
    for refusal in (Refusal("CreationRefused", "a quota"), Refusal("BadConfiguration", "a field", 64)):
        yield Sight(generation, ObservedGeneration(generation, refusal=refusal))
    size = _SHARDS if live.step == "render" else 1
    seen = [*see_common_ends(live.name, live.step, size, now), *_see_live(live.name, live.step, size, now)]
    for job, pods in seen:
        yield Sight(generation, ObservedGeneration(generation, see_children(job, pods)))
    if live.step == "plan":
        yield from _look_ahead(generation, live.name, now)
    working = build_job(live.name, live.step, size, now)
    for obstacle in OBSTACLES:
        stuck = see_children(working, [build_pending_pod(live.name, 0, now, **obstacle)])
        yield Sight(generation, ObservedGeneration(generation, stuck), seconds=1000)
    yield Sight(toggled, ObservedGeneration(toggled, see_children(working)))
    yield Sight(generation, ObservedGeneration(generation, see_children(working)), seconds=_DEADLINE_SECONDS + 1)


def _look_ahead(generation: DatasetGeneration, plan: str, now: datetime) -> Iterator[Sight[DatasetGeneration]]:
    """The plan step stages shards, and what becomes of the Job that renders them meanwhile."""
    report = PlanReport(revision="r", staging=_DRAFT, staged_shards=_SHARDS)
    pod = replace(build_pod(plan, 0, now), report=Report(step="plan", time=now, plan=report))
    reads = build_job(plan, "plan", 1, now)
    yield Sight(generation, ObservedGeneration(generation, see_children(reads, (pod,))))
    ahead = get_ahead(generation.status)
    if ahead is None or ahead.outcome is not None:
        return
    long_ago = now - timedelta(seconds=1000)
    done = replace(reads, is_complete=True, finished=long_ago)
    made = report.updated(digest="d", shards=_SHARDS)
    ended = build_ended_pod(plan, 0, long_ago, 0, report=Report(step="plan", time=now, plan=made))
    renders = build_job(ahead.name, "render", _SHARDS, now)
    succeeds = replace(renders, is_complete=True, completed_indexes="0-1", finished=long_ago)
    fails = replace(renders, is_failed=True, failed_indexes="0", finished=long_ago, failure_reason="FailedIndexes")
    at_work = (build_pod(ahead.name, 0, now),)
    for job, pods in ((None, ()), (renders, ()), (renders, at_work), (succeeds, ()), (fails, ())):
        others = () if job is None else (job,)
        yield Sight(generation, ObservedGeneration(generation, Children((reads, *others), (pod, *pods))))
        yield Sight(generation, ObservedGeneration(generation, Children((done, *others), (ended, *pods))))


def _see_live(
    name: str, step: str, size: int, now: datetime
) -> Iterator[tuple[ObservedJob | None, tuple[ObservedPod, ...]]]:
    ended, long_ago = now - timedelta(seconds=1), now - timedelta(seconds=1000)
    yield build_job(name, step, size, now), (build_pod(name, 0, now),)
    yield None, (build_pod(name, 0, now),)  # deleted before anybody saw that its first container had started
    for obstacle in ({}, *OBSTACLES):
        yield build_job(name, step, size, now), (build_pending_pod(name, 0, now, **obstacle),)
    done: dict[str, Any] = {"is_complete": True, "finished": long_ago}
    for report in _see_reports(step, now):
        pods = tuple(build_ended_pod(name, index, ended, 0, report=report) for index in range(size))
        yield build_job(name, step, size, now, **done, completed_indexes="0-1" if size > 1 else "0"), pods
    reason = "FailedIndexes" if step == "render" else "BackoffLimitExceeded"
    failed: dict[str, Any] = {"is_failed": True, "finished": long_ago, "failure_reason": reason}
    failure = Failure(reason="BadData", message="no column text", exit_code=65)
    explained = Report(step=step, time=now, failure=failure)
    for exit_code, report in ((65, None), (65, explained), (1, None), (75, None), (137, None)):
        pod = build_ended_pod(name, 0, ended, exit_code, report=report)
        yield build_job(name, step, size, now, **failed, failed_indexes="0"), (pod,)


def _see_reports(step: str, now: datetime) -> Iterator[Report | None]:
    """What a step that succeeded reports; a plan may have no rows, and a report may be lost."""
    yield None
    if step == "plan":
        for shards in (0, _SHARDS):
            plan = PlanReport.model_validate({"revision": "r", "digest": "d", "splits": [], "shards": shards})
            yield Report(step="plan", time=now, plan=plan)
    if step == "publish":
        fields = {"uri": "pvc://data/pages", "revision": "r", "rows": 1, "pages": 1, "bytes": 1, "manifestSha256": "0"}
        yield Report(step="publish", time=now, publish=PublishReport.model_validate(fields))
