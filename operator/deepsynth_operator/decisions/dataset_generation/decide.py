"""DatasetGeneration: (what was seen, now) -> Decision. Pure: plan, then render, then publish, each a Job.

A failed shard fails the resource: nothing is published, and what is rendered stays staged for the next try.
"""

from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.conditions import ConditionType
from deepsynth_api.v1alpha1 import DatasetGeneration, DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, GenerationState, OutputStatus, PlanStatus
from deepsynth_operator.core.observed import ObservedGeneration, ObservedPod
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.dataset_generation.jobs import (
    KEPT_JOBS,
    MAX_JOBS_WITHOUT_PROGRESS,
    MOST_LOST_REPORTS,
    REPORT_LOST,
    StepName,
    compute_due_time,
    compute_next_step,
    compute_number,
    conclude_job,
    get_last,
    get_live,
    has_lost_reports,
    lacks_progress,
    observe_job,
    reject_success,
    replace_last,
)
from deepsynth_operator.decisions.dataset_generation.last_failure import find_last_failure
from deepsynth_operator.decisions.dataset_generation.progress import (
    compute_planned,
    compute_published,
    compute_rendering,
    compute_waiting,
)
from deepsynth_operator.decisions.shared.blocking import find_blocker
from deepsynth_operator.decisions.shared.cleanup import decide_cleanup
from deepsynth_operator.decisions.shared.conditions import (
    Situation,
    acknowledge_generation,
    is_finished,
    update_conditions,
)
from deepsynth_operator.decisions.shared.deadline import compute_deadline_wait, find_deadline_verdict
from deepsynth_operator.decisions.shared.decision import Action, CreateJob, Decision, DeleteJob, SetParallelism
from deepsynth_operator.decisions.shared.events import compute_generation_events
from deepsynth_operator.decisions.shared.starting import describe_start, find_obstacle
from deepsynth_operator.decisions.shared.summary import summarize_generation
from deepsynth_operator.decisions.shared.throttle import hold_back_generation
from deepsynth_operator.decisions.training_run.attempts import SUSPENDED
from deepsynth_operator.decisions.training_run.backoff import Verdict
from deepsynth_operator.manifests.names import build_job_name
from deepsynth_operator.manifests.render_job import DEFAULT_GRACE_SECONDS

GenerationSituation = Situation[GenerationState]
Step = tuple[DatasetGenerationStatus, GenerationSituation]
_STATES: Final[dict[StepName, GenerationState]] = {
    "plan": "Planning",
    "render": "Rendering",
    "publish": "Publishing",
}


def decide_generation(
    observed: ObservedGeneration, settings: Settings, now: datetime
) -> Decision[DatasetGenerationStatus]:
    """What to write about a DatasetGeneration, and what to do."""
    generation = observed.generation
    if generation.metadata.deletion_timestamp is not None:
        return Decision(generation.status)
    if is_finished(generation.status.conditions):
        return _decide_finished(observed, now)
    status = _observe(generation.status, observed, now)
    status, situation = _advance(status, observed, settings, now)
    status = _describe(status, situation, generation, now)
    status = hold_back_generation(generation.status, status, settings.poll_seconds, now)
    wait = min(situation.check_after, compute_deadline_wait(generation, status.start_time, now))
    events = compute_generation_events(generation.status, status)
    return Decision(status, _plan_actions(status, observed), events, wait)


def _decide_finished(observed: ObservedGeneration, now: datetime) -> Decision[DatasetGenerationStatus]:
    generation = observed.generation
    status = acknowledge_generation(generation.status, generation.metadata.generation)
    actions, wait = decide_cleanup(generation, status.completion_time or now, observed.children, now)
    return Decision(status, actions, requeue_after=wait)


def _observe(status: DatasetGenerationStatus, observed: ObservedGeneration, now: datetime) -> DatasetGenerationStatus:
    """`status` with what the live Job and its pods say, and that Job's entry ended if it is over."""
    live = get_live(status)
    if live is None:
        return status
    job, pods = observed.children.find_job(live.name), observed.children.get_pods(live.name)
    status = status.updated(last_failure=find_last_failure(status.last_failure, live.step, pods, now))
    if live.step == "render" and job is not None:
        status = status.updated(progress=compute_rendering(status, job, pods, now))
    else:
        status = status.updated(progress=compute_waiting(status.progress, pods, now))
    live = observe_job(live, job, pods)
    over = conclude_job(observed.generation, live, job, pods, now=now, refusal=observed.refusal)
    if over is not None and status.progress is not None:
        over = over.updated(shards_done=status.progress.shards_done)
    if over is None or over.outcome != "Succeeded":
        return replace_last(status, over or live)
    return _take_result(status, over, pods, now)


def _take_result(
    status: DatasetGenerationStatus, over: ChildJob, pods: list[ObservedPod], now: datetime
) -> DatasetGenerationStatus:
    """`status` with what a Job that succeeded has found."""
    reports = [pod.report for pod in pods if pod.report is not None and pod.exit_code == 0]
    if over.step == "render":
        return replace_last(status, over)
    if over.step == "plan":
        plans = [report.plan for report in reports if report.plan is not None and report.plan.digest]
        if not plans:
            return replace_last(status, reject_success(over, now))
        plan = PlanStatus.model_validate(plans[-1].model_dump(exclude={"rows_read", "waiting"}))
        return replace_last(status, over).updated(plan=plan, progress=compute_planned(plan, now))
    published = [report.publish for report in reports if report.publish is not None and report.publish.revision]
    if not published:
        return replace_last(status, reject_success(over, now))
    output = OutputStatus.model_validate(published[-1].model_dump(exclude={"dropped", "waiting"}))
    progress = compute_published(status.progress, published[-1], now)
    return replace_last(status, over).updated(output=output, progress=progress)


def _advance(status: DatasetGenerationStatus, observed: ObservedGeneration, settings: Settings, now: datetime) -> Step:
    """The next step of the resource's life, given that `status` tells all that was seen."""
    generation, live = observed.generation, get_live(status)
    if live is not None:
        return status, _describe_live(live, observed, settings.poll_seconds, now)
    if status.output is not None:
        message = f"{status.output.rows} documents, {status.output.pages} pages at {status.output.uri}"
        return status.updated(completion_time=now), Situation("Complete", "Published", message)
    if (verdict := _find_verdict(generation, status, now)) is not None:
        return status.updated(completion_time=now), Situation("Failed", verdict.reason, verdict.message)
    if generation.spec.suspend:
        return status, Situation("Suspended", SUSPENDED, "spec.suspend is true")
    return _start_next(status, observed, settings, now)


def _find_verdict(generation: DatasetGeneration, status: DatasetGenerationStatus, now: datetime) -> Verdict | None:
    """Why there is no further Job."""
    if (verdict := find_deadline_verdict(generation, status.start_time, now)) is not None:
        return verdict
    last = get_last(status)
    if last is not None and last.outcome == "Failed":
        return _explain_failed(status, last)
    if has_lost_reports(status):
        remedy = "use an image of the operator's own version"
        return Verdict(REPORT_LOST, f"{MOST_LOST_REPORTS} Jobs in a row ended well without a report; {remedy}")
    if last is not None and lacks_progress(status):
        count = MAX_JOBS_WITHOUT_PROGRESS
        return Verdict("NoProgress", f"{count} Jobs in a row ended without progress; {last.reason}: {last.message}")
    if status.plan is not None and status.plan.shards == 0:
        return Verdict("NoRows", "the plan left no document to render; see progress.dropped and spec.filters")
    return None


def _explain_failed(status: DatasetGenerationStatus, last: ChildJob) -> Verdict:
    """The Job's end in the words of the pod that failed last, where one is known."""
    failure, failed = status.last_failure, status.progress.failed_indexes if status.progress else ""
    cause = f"{failure.reason}: {failure.message}" if failure and failure.step == last.step else last.message
    if last.step == "render" and last.reason in {"FailedIndexes", "MaxFailedIndexesExceeded"}:
        return Verdict("ShardsFailed", f"shards {failed} failed, nothing is published; last: {cause}")
    reason = failure.reason if failure and failure.step == last.step else last.reason
    return Verdict(reason, f"{last.step} failed: {cause}")


def _start_next(
    status: DatasetGenerationStatus, observed: ObservedGeneration, settings: Settings, now: datetime
) -> Step:
    generation, step, last = observed.generation, compute_next_step(status), get_last(status)
    if step is None:
        raise AssertionError("a generation with an output is Complete")
    due = compute_due_time(status)
    if last is not None and due is not None and now < due:
        seconds = (due - now).total_seconds()
        return status, _name_state(step, last.reason, f"{last.message}; again at {due:%H:%M:%S} UTC", seconds)
    grace = timedelta(seconds=generation.spec.template.termination_grace_period_seconds or DEFAULT_GRACE_SECONDS)
    blocker = find_blocker(observed.children, last.end_time if last else None, grace, now)
    if blocker is not None:
        return status, _name_state(step, "WaitingForPods", blocker, 5.0)
    number, image = compute_number(status, step), generation.spec.image or settings.render_image
    entry = ChildJob(
        step=step, name=build_job_name(generation, step, number), number=number, start_time=now, image=image
    )
    status = status.updated(jobs=[*status.jobs, entry][-KEPT_JOBS:], start_time=status.start_time or now)
    return status, _describe_live(entry, observed, settings.poll_seconds, now)


def _describe_live(
    entry: ChildJob, observed: ObservedGeneration, poll_seconds: int, now: datetime
) -> GenerationSituation:
    """The situation while a Job is at work."""
    job, pods = observed.children.find_job(entry.name), observed.children.get_pods(entry.name)
    if job is None:
        first = entry.step == "plan" and entry.number == 1
        return Situation("Starting", "CreatingJob", f"creating Job {entry.name}", accepted=not first)
    if job.suspended:
        return Situation("Queued", "Queued", f"Job {job.name} waits for its queue")
    obstacle = None if any(pod.is_at_work for pod in pods) else find_obstacle(pods, now)
    reason, message = obstacle.reason if obstacle else None, describe_start(pods, now)
    if entry.step == "plan" and entry.running_time is None:
        return Situation("Starting", reason or "Starting", message, check_after=poll_seconds)
    return _name_state(entry.step, reason, message, poll_seconds)


def _name_state(step: StepName, reason: str | None, message: str, check_after: float) -> GenerationSituation:
    state = _STATES[step]
    return Situation(state, reason or state, message, check_after=check_after)


def _describe(
    status: DatasetGenerationStatus, situation: GenerationSituation, generation: DatasetGeneration, now: datetime
) -> DatasetGenerationStatus:
    """`status` with state, conditions and columns for `situation`."""
    published, number = status.output is not None, generation.metadata.generation
    where = status.output.uri if status.output else ""
    extra = {ConditionType.PUBLISHED: (published, "Published" if published else "NotPublished", where)}
    conditions = update_conditions(status.conditions, situation, extra, now=now, generation=number)
    status = status.updated(observed_generation=number, conditions=conditions, state=situation.state)
    return status.updated(summary=summarize_generation(generation, status, situation.reason))


def _plan_actions(status: DatasetGenerationStatus, observed: ObservedGeneration) -> tuple[Action, ...]:
    """What makes the children follow the status. Computed from the status alone, so a lost action is made up for."""
    live = get_live(status)
    listed = {entry.name for entry in status.jobs}
    actions: list[Action] = [
        DeleteJob(job.name, job.uid)
        for job in observed.children.jobs
        if (live is None or job.name != live.name)
        and not job.deleting
        and (not job.is_finished or job.name not in listed)
    ]
    job = observed.children.find_job(live.name) if live is not None else None
    if live is not None and job is None:
        actions.append(CreateJob(live.name))
    if job is not None and job.parallelism != (wanted := min(observed.generation.spec.parallelism, job.completions)):
        actions.append(SetParallelism(job.name, job.uid, wanted))
    return tuple(actions)
