"""DatasetGeneration: (what was observed, settings, now) -> Decision. Pure: plan, then render, then publish, each a Job.

    observe    take what the Jobs and their pods report into the status; end those that are over     END_POLICIES
    advance    complete, fail, wait, or start the next Job                        FAILURE_, START_POLICIES
    describe   state, conditions, columns
    act        the Jobs to create, to delete and to resize, from the new status alone

The order of the policies is in `policies.py`. A failed shard fails the resource: nothing is published, and rendered
shards stay staged for the next try.
"""

from collections.abc import Sequence
from datetime import datetime

from deepsynth_api.counted import counted
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, OutputStatus, PlanStatus
from deepsynth_operator.core.observed import ObservedGeneration, ObservedJob, ObservedPod
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.dataset_generation.ahead import note_staged, settle_ahead, start_ahead, take_ahead
from deepsynth_operator.decisions.dataset_generation.describe import (
    describe_dropped,
    describe_generation,
    describe_live,
)
from deepsynth_operator.decisions.dataset_generation.ends import LiveStep, report_lost
from deepsynth_operator.decisions.dataset_generation.events import compute_generation_events
from deepsynth_operator.decisions.dataset_generation.failures import find_last_failure
from deepsynth_operator.decisions.dataset_generation.jobs import (
    compute_next_step,
    drop_start,
    end_job,
    get_ahead,
    get_live,
    get_shard_pods,
    is_in_folder,
    list_jobs,
    list_live,
    list_newest,
    observe_job,
    replace_last,
    start_job,
)
from deepsynth_operator.decisions.dataset_generation.policies import END_POLICIES, FAILURE_POLICIES, START_POLICIES
from deepsynth_operator.decisions.dataset_generation.progress import (
    compute_planned,
    compute_published,
    compute_rendering,
    compute_waiting,
    drop_progress,
)
from deepsynth_operator.decisions.dataset_generation.queue_job import (
    count_room,
    find_queue_job,
    follow_queue,
    needs_queue_job,
)
from deepsynth_operator.decisions.dataset_generation.starts import GenerationSituation
from deepsynth_operator.decisions.dataset_generation.usage import account_job, price_job
from deepsynth_operator.decisions.dataset_generation.view import GenerationView
from deepsynth_operator.decisions.shared.conditions import is_finished
from deepsynth_operator.decisions.shared.decision import (
    Action,
    CreateJob,
    Decision,
    DeleteJob,
    SetParallelism,
    Situation,
)
from deepsynth_operator.decisions.shared.ends import compute_deadline_wait, follow_deadline
from deepsynth_operator.decisions.shared.finished import compute_cleanup_wait, decide_finished
from deepsynth_operator.decisions.shared.notifications import note_end
from deepsynth_operator.decisions.shared.policies import NOT_OVER, first_match
from deepsynth_operator.decisions.shared.queues import change_queue, may_resize
from deepsynth_operator.decisions.shared.status_budget import fit_generation_status
from deepsynth_operator.decisions.shared.throttle import hold_back_progress, hold_back_start

Advance = tuple[DatasetGenerationStatus, GenerationSituation]


def decide_generation(
    observed: ObservedGeneration, settings: Settings, now: datetime
) -> Decision[DatasetGenerationStatus]:
    """What to write about a DatasetGeneration, and what to do."""
    generation = observed.generation
    if generation.metadata.deletion_timestamp is not None:
        return Decision(generation.status)
    if is_finished(generation.status.conditions):
        return decide_finished(generation, generation.status, observed.children, now)
    status = account_job(observed, _observe(observed, settings, now), now)
    status, situation = _advance(status, observed, settings, now)
    status = describe_generation(generation, status, situation, now)
    status = fit_generation_status(note_end(generation.status, status, notifies=settings.notifies))
    hold = settings.progress_seconds
    status = hold_back_progress(generation.status, status, drop_progress, progress_seconds=hold, now=now)
    wait = min(situation.check_after, compute_deadline_wait(generation, status.start_time, now))
    created = max((job.start_time for job in list_newest(status)), default=None)
    status, wait = hold_back_start(generation.status, status, drop_start, created=created, wait=wait, now=now)
    events = compute_generation_events(generation.status, status)
    after = compute_cleanup_wait(generation) if is_finished(status.conditions) else wait
    return Decision(status, _compute_actions(status, observed), events, after)


def _observe(observed: ObservedGeneration, settings: Settings, now: datetime) -> DatasetGenerationStatus:
    """The status with what the live Jobs and their pods say, and the entries of those that are over ended."""
    status, children = observed.generation.status, observed.children
    live = get_live(status)
    if live is None:
        return status
    pods = children.get_pods(live.name)
    if live.step == "plan":
        status = note_staged(status, pods, now)
    status = _observe_pods(status, observed, now)
    ahead = get_ahead(status)
    if ahead is not None and ahead.outcome is None:
        status = take_ahead(status, _observe_job(status, [live, ahead], observed, settings, now))
    over = _observe_job(status, [*status.jobs[-2:-1], live], observed, settings, now)
    if over.outcome == "Succeeded":
        status = _take_result(status, over, pods, uri=observed.generation.spec.output.uri, now=now)
    else:
        status = replace_last(status, over)
    return status if over.outcome is None else settle_ahead(status, now)


def _observe_pods(
    status: DatasetGenerationStatus, observed: ObservedGeneration, now: datetime
) -> DatasetGenerationStatus:
    """`status` with the progress that the pods of live Jobs report, and with the newest failure of one of them."""
    children, live = observed.children, list_live(status)
    for entry in live:
        pods = get_shard_pods(entry, children)
        status = status.updated(last_failure=find_last_failure(status.last_failure, entry.step, pods, now))
    entry = live[-1]
    job = children.find_job(entry.name)
    if entry.step == "render" and job is not None:
        return status.updated(progress=compute_rendering(status, entry, job, children, now))
    return status.updated(progress=compute_waiting(status.progress, children.get_pods(live[0].name), now))


def _observe_job(
    status: DatasetGenerationStatus,
    entries: Sequence[ChildJob],
    observed: ObservedGeneration,
    settings: Settings,
    now: datetime,
) -> ChildJob:
    """The last one of `entries` with what its Job and pods say, and ended if it is over."""
    generation, children, live = observed.generation, observed.children, entries[-1]
    job, pods = children.find_job(live.name), children.get_pods(live.name)
    live = price_job(observe_job(live, job, pods, now), job, pods, settings.prices)
    existed, queue_job = bool(live.uid or pods), find_queue_job(generation, children)
    seen = [*entries[:-1], live]
    view = LiveStep(generation, live.name, existed, job, pods, observed.refusal, now, seen, queue_job)
    cause = first_match(END_POLICIES, view)
    if cause is None or cause is NOT_OVER:
        return live
    over = end_job(live, cause, now)
    return over if status.progress is None else over.updated(shards_done=status.progress.shards_done)


def _take_result(
    status: DatasetGenerationStatus, over: ChildJob, pods: list[ObservedPod], *, uri: str, now: datetime
) -> DatasetGenerationStatus:
    """`status` with what a Job that succeeded has found. Without its report the step has to be done again.

    uri: of the output, where the report is too short for it.
    """
    reports = [pod.report for pod in pods if pod.report is not None and pod.exit_code == 0]
    done = replace_last(status, over)
    if over.step == "render":
        return done
    if over.step == "plan":
        plans = [report.plan for report in reports if report.plan is not None and report.plan.digest]
        if not plans:
            return replace_last(status, end_job(over, report_lost(over), now))
        plan = PlanStatus.model_validate(plans[-1].model_dump(exclude={"rows_read", "staged_shards", "waiting"}))
        rendered = status.progress if is_in_folder(status, plan.staging) else None
        return done.updated(plan=plan, progress=compute_planned(rendered, plan, now))
    published = [report.publish for report in reports if report.publish is not None and report.publish.revision]
    if not published:
        return replace_last(status, end_job(over, report_lost(over), now))
    result = published[-1].model_dump(exclude={"dropped", "replaced_characters", "waiting"})
    output = OutputStatus.model_validate(result | {"uri": result["uri"] or uri})
    return done.updated(output=output, progress=compute_published(status.progress, published[-1], now))


def _advance(
    status: DatasetGenerationStatus, observed: ObservedGeneration, settings: Settings, now: datetime
) -> Advance:
    """The next step of the resource's life; `status` holds everything that was observed."""
    image = observed.generation.spec.image or settings.render_image
    if get_live(status) is not None:
        return _show_live(start_ahead(status, observed, image, now), observed, settings, now)
    if status.output is not None:
        counts = (
            f"{counted(status.output.rows, 'document')}, {counted(status.output.pages, 'page')} at {status.output.uri}"
        )
        message = f"{counts}{describe_dropped(status.progress)}"
        return status.updated(completion_time=now), Situation("Complete", Reason.PUBLISHED, message)
    view = GenerationView(observed, status, now)
    if (verdict := first_match(FAILURE_POLICIES, view)) is not None:
        return status.updated(completion_time=now), Situation("Failed", verdict.reason, verdict.message)
    if needs_queue_job(observed) and not observed.generation.spec.suspend:
        status = status.updated(start_time=status.start_time or now)
    if (situation := first_match(START_POLICIES, view)) is not None:
        return status, situation
    step = compute_next_step(status)
    if step is None:
        raise AssertionError("a generation with an output is Complete")
    return _show_live(start_job(observed.generation, status, step, image, now), observed, settings, now)


def _show_live(
    status: DatasetGenerationStatus, observed: ObservedGeneration, settings: Settings, now: datetime
) -> Advance:
    return status, describe_live(status, observed.children, settings=settings, now=now)


def _compute_actions(status: DatasetGenerationStatus, observed: ObservedGeneration) -> tuple[Action, ...]:
    """What makes the children follow the status. From the status alone, so an action that was lost is repeated."""
    live, generation = list_live(status), observed.generation
    listed = {entry.name for entry in list_jobs(status)}
    queue_job = find_queue_job(generation, observed.children)
    is_active = status.completion_time is None and not generation.spec.suspend
    wanted_jobs = {*(entry.name for entry in live), queue_job.name if queue_job and is_active else None}
    actions: list[Action] = [
        DeleteJob(job.name, job.uid)
        for job in observed.children.jobs
        if job.name not in wanted_jobs and not job.deleting and (not job.is_finished or job.name not in listed)
    ]
    for number, entry in enumerate(live):
        actions += _follow_entry(status, entry, observed, queue_job, taken=number)
    if is_active:
        actions += follow_queue(status, observed)
    return tuple(actions)


def _follow_entry(
    status: DatasetGenerationStatus,
    entry: ChildJob,
    observed: ObservedGeneration,
    queue_job: ObservedJob | None,
    *,
    taken: int,
) -> list[Action]:
    """What makes the Job of a live entry follow it. taken: how many pods of the generation's room others have."""
    generation, job = observed.generation, observed.children.find_job(entry.name)
    if job is None:
        return [CreateJob(entry.name, queue_job.name if queue_job is not None else None)]
    actions: list[Action] = []
    wanted = min(max(count_room(generation, job, queue_job) - taken, 0), job.completions)
    if job.parallelism != wanted and may_resize(job):
        actions.append(SetParallelism(job.name, job.uid, wanted))
    actions += follow_deadline(generation, status.start_time, entry.start_time, job)
    if (change := change_queue(generation, job)) is not None:
        actions.append(change)
    return actions
