"""TrainingRun: (what was seen, now) -> Decision. Pure, and the only place that knows the order of the policies.

Take what the pods say; end the attempt if it is over; then finish, suspend, wait, or start the next attempt.
"""

from datetime import datetime

from deepsynth_api.conditions import ConditionType
from deepsynth_api.v1alpha1 import TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from deepsynth_operator.core.observed import ObservedRun
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.shared.blocking import find_blocker
from deepsynth_operator.decisions.shared.cleanup import decide_cleanup
from deepsynth_operator.decisions.shared.conditions import (
    Situation,
    acknowledge_generation,
    is_finished,
    update_conditions,
)
from deepsynth_operator.decisions.shared.deadline import compute_deadline_wait, find_deadline_verdict
from deepsynth_operator.decisions.shared.decision import Action, CreateJob, Decision, DeleteJob
from deepsynth_operator.decisions.shared.events import compute_run_events
from deepsynth_operator.decisions.shared.summary import summarize_run
from deepsynth_operator.decisions.shared.throttle import hold_back_run
from deepsynth_operator.decisions.training_run.attempts import (
    REQUEUED,
    SUSPENDED,
    end_attempt,
    get_grace,
    get_last,
    get_live,
    is_requeued,
    observe_start,
    replace_last,
    resume_job,
    select_pods,
    start_attempt,
)
from deepsynth_operator.decisions.training_run.backoff import Verdict, compute_due_time, find_verdict
from deepsynth_operator.decisions.training_run.ending import conclude_attempt
from deepsynth_operator.decisions.training_run.inputs import Wait, describe_pinned, find_wait, pin_inputs, pin_reported
from deepsynth_operator.decisions.training_run.outcomes import adopt_cause, find_root_cause
from deepsynth_operator.decisions.training_run.progress import complete_progress, take_previous_failure, take_reports
from deepsynth_operator.decisions.training_run.situation import RunSituation, describe_live
from deepsynth_operator.decisions.training_run.usage import account_usage
from deepsynth_operator.manifests.names import build_job_name
from deepsynth_operator.manifests.train_job import build_output_uri

Step = tuple[TrainingRunStatus, RunSituation]


def decide_run(observed: ObservedRun, settings: Settings, now: datetime) -> Decision[TrainingRunStatus]:
    """What to write about a TrainingRun, and what to do."""
    run = observed.run
    if run.metadata.deletion_timestamp is not None:
        return Decision(run.status)
    if is_finished(run.status.conditions):
        return _decide_finished(observed, now)
    status = _observe(run.status, observed, now)
    status, situation = _advance(status, observed, settings, now)
    status = hold_back_run(run.status, _describe(status, situation, observed, now), settings.poll_seconds, now)
    wait = min(situation.check_after, compute_deadline_wait(run, status.start_time, now))
    return Decision(status, _plan_actions(status, observed), compute_run_events(run.status, status), wait)


def _decide_finished(observed: ObservedRun, now: datetime) -> Decision[TrainingRunStatus]:
    run = observed.run
    status = acknowledge_generation(run.status, run.metadata.generation)
    actions, wait = decide_cleanup(run, status.completion_time or now, observed.children, now)
    return Decision(status, actions, requeue_after=wait)


def _observe(status: TrainingRunStatus, observed: ObservedRun, now: datetime) -> TrainingRunStatus:
    """`status` with what the children of the last attempt say, and that attempt ended if it is over."""
    run, pods = observed.run, select_pods(status, observed.children)
    before = (status.progress, status.saved_step)
    status = take_previous_failure(take_reports(status, pods, now), pods)
    status = pin_reported(status, run.spec.datasets, pods)
    changed = before != (status.progress, status.saved_step)
    live = get_live(status)
    if live is None:
        return account_usage(run, status, now) if changed else status
    job = observed.children.find_job(live.job)
    attempt = observe_start(live, job, pods, run.spec.num_nodes, now)
    if job is not None and not job.suspended:
        # Pods of a Job that is deleted or taken back by its queue end in any way; what was seen before is what counts.
        attempt = adopt_cause(attempt, find_root_cause(pods, job))
    over = conclude_attempt(run, attempt, job, pods, now=now, refusal=observed.refusal)
    if over is None:
        status = replace_last(status, attempt)
        return account_usage(run, status, now) if changed else status
    return account_usage(run, end_attempt(status, over, now), now)


def _advance(status: TrainingRunStatus, observed: ObservedRun, settings: Settings, now: datetime) -> Step:
    """The next step of the run's life, given that `status` tells all that was seen."""
    run, last, live = observed.run, get_last(status), get_live(status)
    if live is not None:
        job, pods = observed.children.find_job(live.job), select_pods(status, observed.children)
        return status, describe_live(status, live, job, pods, now=now, poll_seconds=settings.poll_seconds)
    if last is not None and last.outcome == "Succeeded":
        return _complete(run, status, now)
    verdict = find_deadline_verdict(run, status.start_time, now)
    if verdict := verdict or (find_verdict(run, status) if last is not None else None):
        return _fail(status, verdict, now)
    if run.spec.suspend:
        return status, Situation("Suspended", SUSPENDED, "spec.suspend is true")
    if status.start_time is None:
        if (wait := find_wait(observed)) is not None:
            return status, _describe_wait(wait)
        status = pin_inputs(status, observed).updated(start_time=now)
    return _start_next(status, observed, settings, now)


def _describe_wait(wait: Wait) -> RunSituation:
    """There is no state for waiting for a model; it is Pending with the reason in the conditions."""
    if wait.for_dataset:
        return Situation("WaitingForDataset", wait.reason, wait.message)
    return Situation("Pending", wait.reason, wait.message)


def _start_next(status: TrainingRunStatus, observed: ObservedRun, settings: Settings, now: datetime) -> Step:
    run, last = observed.run, get_last(status)
    if last is not None and is_requeued(last):
        job = observed.children.find_job(last.job)
        if job is not None and not job.is_finished:
            return _requeue(status, observed, settings, now)
    if last is not None and now < (due := compute_due_time(run, status)):
        seconds = (due - now).total_seconds()
        message = f"attempt {last.number + 1} follows {due:%H:%M:%S} UTC; {last.outcome}: {last.message}"
        return status, Situation("Restarting", last.reason, message, check_after=seconds)
    if (blocker := find_blocker(observed.children, last.end_time if last else None, get_grace(run), now)) is not None:
        return status, Situation("Restarting", "WaitingForPods", blocker, check_after=5.0)
    number = last.number + 1 if last is not None else 1
    image = run.spec.image or settings.train_image
    status = start_attempt(status, build_job_name(run, "train", number), image, now)
    return status, describe_live(status, status.attempts[-1], None, (), now=now, poll_seconds=settings.poll_seconds)


def _requeue(status: TrainingRunStatus, observed: ObservedRun, settings: Settings, now: datetime) -> Step:
    """The queue took the Job back; when it admits it again, that is another attempt of the same Job."""
    job = observed.children.find_job(status.attempts[-1].job)
    if job is None or job.suspended:
        return status, Situation("Queued", REQUEUED, f"Job {status.attempts[-1].job} waits for its queue")
    status = resume_job(status, job, now)
    pods = select_pods(status, observed.children)
    return status, describe_live(status, status.attempts[-1], job, pods, now=now, poll_seconds=settings.poll_seconds)


def _complete(run: TrainingRun, status: TrainingRunStatus, now: datetime) -> Step:
    """Without a final report, which a node may take along, the model is where the document said it should go."""
    output = status.output or ModelOutput(uri=build_output_uri(run))
    status = complete_progress(status).updated(completion_time=now, output=output)
    return status, Situation("Complete", "Succeeded", f"the model is at {output.uri}")


def _fail(status: TrainingRunStatus, verdict: Verdict, now: datetime) -> Step:
    return status.updated(completion_time=now), Situation("Failed", verdict.reason, verdict.message)


def _describe(
    status: TrainingRunStatus, situation: RunSituation, observed: ObservedRun, now: datetime
) -> TrainingRunStatus:
    """`status` with state, conditions and columns for `situation`."""
    run = observed.run
    pinned = status.start_time is not None
    published = situation.state == "Complete" and run.spec.publish is not None
    where = run.spec.publish.uri if published and run.spec.publish else ""
    wait = (situation.reason, situation.message)
    extra = {
        ConditionType.DATASET_READY: (True, "DatasetsPinned", describe_pinned(status)) if pinned else (False, *wait),
        ConditionType.PUBLISHED: (published, "Published" if published else "NotPublished", where),
    }
    generation = run.metadata.generation
    conditions = update_conditions(status.conditions, situation, extra, now=now, generation=generation)
    status = status.updated(observed_generation=generation, conditions=conditions, state=situation.state)
    return status.updated(summary=summarize_run(run, status, situation.reason))


def _plan_actions(status: TrainingRunStatus, observed: ObservedRun) -> tuple[Action, ...]:
    """What makes the children follow the status. Computed from the status alone, so a lost action is made up for."""
    last, live = get_last(status), get_live(status)
    queued = is_requeued(last) and not observed.run.spec.suspend
    finished = is_finished(status.conditions)
    wanted = last.job if last is not None and not finished and (live is not None or queued) else None
    listed = {attempt.job for attempt in status.attempts}
    actions: list[Action] = [
        DeleteJob(job.name, job.uid)
        for job in observed.children.jobs
        if job.name != wanted and not job.deleting and (not job.is_finished or job.name not in listed)
    ]
    if live is not None and observed.children.find_job(live.job) is None:
        actions.append(CreateJob(live.job))
    return tuple(actions)
