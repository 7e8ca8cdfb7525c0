"""TrainingRun: (what was observed, settings, now) -> Decision. Pure.

    continue   a finished run whose spec asks for more goes back to work             next_attempt/changes.py
    observe    take what the pods report into the status
    end        the live attempt, if it is over                                    END_POLICIES
    advance    complete, fail, wait, or start the next attempt                    FAILURE_, START_POLICIES
    describe   state, conditions, columns
    act        the Jobs to create and to delete, from the new status alone

The order of the policies is in `policies.py`.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from deepsynth_operator.core.observed import ObservedJob, ObservedRun
from deepsynth_operator.core.prices import PriceTable
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.shared.conditions import is_finished
from deepsynth_operator.decisions.shared.decision import (
    AT_ONCE,
    MAX_ENTRY_MESSAGE,
    Action,
    CreateJob,
    Decision,
    DeleteJob,
    DropDocument,
    HoldJob,
    ReleaseJob,
    Situation,
    WriteDocument,
)
from deepsynth_operator.decisions.shared.ends import compute_deadline_wait, follow_deadline
from deepsynth_operator.decisions.shared.finished import compute_cleanup_wait, decide_finished
from deepsynth_operator.decisions.shared.notifications import note_end
from deepsynth_operator.decisions.shared.policies import NOT_OVER, first_match
from deepsynth_operator.decisions.shared.queues import change_queue
from deepsynth_operator.decisions.shared.status_budget import fit_run_status
from deepsynth_operator.decisions.shared.throttle import hold_back_progress, hold_back_start
from deepsynth_operator.decisions.training_run.attempts import (
    account_usage,
    build_attempt,
    drop_start,
    end_attempt,
    find_end,
    follow_admission,
    get_last,
    get_live,
    is_before_continuation,
    is_requeued,
    observe_start,
    price_last,
    replace_last,
    resume_job,
    select_pods,
    start_attempt,
)
from deepsynth_operator.decisions.training_run.describe import (
    describe_live,
    describe_refusal,
    describe_run,
    has_worked_unseen,
)
from deepsynth_operator.decisions.training_run.ends import LiveAttempt
from deepsynth_operator.decisions.training_run.events import compute_run_events
from deepsynth_operator.decisions.training_run.in_place import drop_old_reports, take_restarts
from deepsynth_operator.decisions.training_run.inputs import find_wait, pin_inputs, pin_reported
from deepsynth_operator.decisions.training_run.next_attempt.changes import (
    continue_run,
    find_continuation,
    forget_earlier,
    list_settings,
    note_changes,
    wants_more,
)
from deepsynth_operator.decisions.training_run.next_attempt.nodes import find_avoided_nodes
from deepsynth_operator.decisions.training_run.policies import END_POLICIES, FAILURE_POLICIES, START_POLICIES
from deepsynth_operator.decisions.training_run.progress import (
    complete_progress,
    drop_progress,
    take_previous_failure,
    take_reports,
)
from deepsynth_operator.decisions.training_run.root_cause import adopt_cause, find_root_cause, set_cause
from deepsynth_operator.decisions.training_run.starts import RunSituation, may_release
from deepsynth_operator.decisions.training_run.view import RunView, find_kept_job
from deepsynth_operator.manifests.train_job import build_output_uri, count_nodes

_SOON_SECONDS: Final = 1.0
Advance = tuple[TrainingRunStatus, RunSituation]


def decide_run(observed: ObservedRun, settings: Settings, now: datetime) -> Decision[TrainingRunStatus]:
    """What to write about a TrainingRun, and what to do."""
    run = observed.run
    if run.metadata.deletion_timestamp is not None:
        return Decision(run.status)
    before = run.status
    if is_finished(before.conditions):
        if not (changes := find_continuation(run)):
            return decide_finished(run, before, observed.children, now)
        run = run.updated(status=continue_run(run, changes, now))
        observed = replace(observed, run=run)
    status, situation = _decide_situation(observed, settings, now)
    status = note_end(before, describe_run(run, status, situation, now), notifies=settings.notifies)
    status = fit_run_status(status)
    status = hold_back_progress(before, status, drop_progress, progress_seconds=settings.progress_seconds, now=now)
    wait = min(situation.check_after, compute_deadline_wait(run, status.continued_time or status.start_time, now))
    created = status.attempts[-1].start_time if status.attempts else None
    status, wait = hold_back_start(before, status, drop_start, created=created, wait=wait, now=now)
    after = compute_cleanup_wait(run) if is_finished(status.conditions) else wait
    return Decision(status, _compute_actions(status, observed, now), compute_run_events(before, status), after)


def _decide_situation(observed: ObservedRun, settings: Settings, now: datetime) -> Advance:
    """The status with what was observed and what follows from it.

    An attempt that worked and ended between two looks is shown at work first: no state that lasted is skipped.
    """
    status = _observe(observed, settings.prices, now)
    ended = _end(status, observed, now)
    if get_live(status) is not None and get_live(ended) is None:
        shown, situation = _show_live(status, observed, settings, now)
        if has_worked_unseen(observed.run.status, situation, select_pods(status, observed.children)):
            return shown, replace(situation, check_after=AT_ONCE)
    return _advance(_account(ended, observed, now), observed, settings, now)


def _observe(observed: ObservedRun, prices: PriceTable, now: datetime) -> TrainingRunStatus:
    """The run's status with what the children of the last attempt say."""
    run, status = observed.run, observed.run.status
    if is_before_continuation(status):
        return status
    pods = select_pods(status, observed.children)
    status = take_restarts(observed, price_last(status, observed.children, prices), pods, now)
    pods = drop_old_reports(status, pods)
    status = take_previous_failure(take_reports(status, pods, now), pods)
    status = pin_reported(status, run.spec, pods)
    if (live := get_live(status)) is None:
        return status
    job = observed.children.find_job(live.job)
    live = follow_admission(live, job)
    return replace_last(status, observe_start(live, job, pods, count_nodes(run, live), now))


def _end(status: TrainingRunStatus, observed: ObservedRun, now: datetime) -> TrainingRunStatus:
    """`status` with why the live attempt is ending, and with its end if it is over."""
    run, attempt = observed.run, get_live(status)
    if attempt is None:
        return status
    pods, job = select_pods(status, observed.children), observed.children.find_job(attempt.job)
    if job is not None and not job.suspended:
        # Pods of a Job that is deleted or evicted by its queue may end in any way: what was seen before is what counts.
        attempt = adopt_cause(attempt, find_root_cause(pods, job))
    existed = bool(attempt.job_uid or pods)
    over = conclude_attempt(LiveAttempt(run, attempt.job, existed, job, pods, observed.refusal, now, attempt))
    return replace_last(status, attempt) if over is None else end_attempt(status, over, find_end(over, job, now))


def _account(status: TrainingRunStatus, observed: ObservedRun, now: datetime) -> TrainingRunStatus:
    """Count GPU time where something else is new as well: it grows with every second."""
    before = observed.run.status
    has_ended = get_live(before) is not None and get_live(status) is None
    if not has_ended and (before.progress, before.saved_step) == (status.progress, status.saved_step):
        return status
    return account_usage(observed.run, status, select_pods(status, observed.children), now)


def conclude_attempt(live: LiveAttempt) -> Attempt | None:
    """The attempt with its outcome if it is over, else None.

    An outcome that was seen earlier stays, with two exceptions: a Job that is Complete after all has succeeded, and a
    disruption that the queue caused by evicting the Job is a suspension.
    """
    cause, seen = first_match(END_POLICIES, live), live.attempt.outcome
    if cause is None or cause is NOT_OVER:
        return None
    corrects = cause.outcome == "Succeeded" or (cause.reason == Reason.REQUEUED_BY_QUEUE and seen == "Disrupted")
    return set_cause(live.attempt, cause) if seen is None or corrects else live.attempt


def _advance(status: TrainingRunStatus, observed: ObservedRun, settings: Settings, now: datetime) -> Advance:
    """The next step of the run's life; `status` holds everything that was observed."""
    run, last, live = observed.run, get_last(status), get_live(status)
    if live is not None:
        return _show_live(status, observed, settings, now)
    has_succeeded = last is not None and last.outcome == "Succeeded" and not is_before_continuation(status)
    if has_succeeded and not wants_more(status, run.spec):
        return _complete(run, status, now)
    if (verdict := first_match(FAILURE_POLICIES, RunView(observed, forget_earlier(status), now))) is not None:
        return status.updated(completion_time=now), Situation("Failed", verdict.reason, verdict.message)
    if status.start_time is None and not run.spec.suspend and find_wait(observed) is None:
        status = pin_inputs(status, observed).updated(start_time=now, settings=list_settings(run.spec))
    view = RunView(observed, status, now)
    if (situation := first_match(START_POLICIES, view)) is not None:
        return status, situation
    status, situation = _show_live(_start(view, settings), observed, settings, now)
    # The pods of a Job that is there already are observed by the next decision.
    return status, situation if view.kept_job is None else replace(situation, check_after=_SOON_SECONDS)


def _start(view: RunView, settings: Settings) -> TrainingRunStatus:
    """Add the next attempt: of the Job that a queue has resumed, else of a new one."""
    status, run = view.status, view.run
    if (job := view.kept_job) is not None:
        return resume_job(status, job, view.now)
    avoided = find_avoided_nodes(status, view.now) if settings.has_scheduler else []
    attempt = build_attempt(run, status, run.spec.image or settings.train_image, avoided, view.now)
    return start_attempt(note_changes(status, run.spec, view.now), attempt)


def _show_live(status: TrainingRunStatus, observed: ObservedRun, settings: Settings, now: datetime) -> Advance:
    live = status.attempts[-1]
    job, pods = observed.children.find_job(live.job), select_pods(status, observed.children)
    if job is None and (refused := describe_refusal(status, live, observed.refusal)) is not None:
        return status, refused
    return status, describe_live(observed.run, status, live, job, pods, settings=settings, now=now)


def _complete(run: TrainingRun, status: TrainingRunStatus, now: datetime) -> Advance:
    """If a lost node took the final report with it, the model is where the workload document said it goes.

    A report is also too short for a very long URI.
    """
    output = status.output or ModelOutput(uri="")
    output = output.updated(uri=output.uri or build_output_uri(run))
    status = complete_progress(status).updated(completion_time=now, output=output)
    note = f"; {output.note[:MAX_ENTRY_MESSAGE]}" if output.note else ""
    return status, Situation("Complete", Reason.SUCCEEDED, f"the model is at {output.uri}{note}")


def _compute_actions(status: TrainingRunStatus, observed: ObservedRun, now: datetime) -> tuple[Action, ...]:
    """What makes the children follow the status. From the status alone, so an action that was lost is repeated."""
    last, live, run = get_last(status), get_live(status), observed.run
    finished = is_finished(status.conditions)
    kept = find_kept_job(status, observed.children) if live is None and not finished and not run.spec.suspend else None
    wanted = kept.name if kept is not None else live.job if live is not None and not finished else None
    listed = {attempt.job for attempt in status.attempts}
    actions: list[Action] = [
        DeleteJob(job.name, job.uid)
        for job in observed.children.jobs
        if job.name != wanted and not job.deleting and (not job.is_finished or job.name not in listed)
    ]
    # After a refusal, the next look tries again.
    if live is not None and observed.children.find_job(live.job) is None and observed.refusal is None:
        actions.append(CreateJob(live.job))
    if live is not None:
        job = observed.children.find_job(live.job)
        actions += follow_deadline(run, status.continued_time or status.start_time, live.start_time, job)
    if kept is not None and last is not None and not is_requeued(status):
        if kept.restarted_after != last.number:
            actions.append(HoldJob(kept.name, kept.uid, last.number))
        elif may_release(RunView(observed, status, now)):
            actions.append(ReleaseJob(kept.name, kept.uid))
    current = observed.children.find_job(wanted) if wanted is not None else None
    if current is not None:
        actions += _update_document(current, live, now)
    if current is not None and (change := change_queue(run, current)) is not None:
        actions.append(change)
    return tuple(actions)


def _update_document(job: ObservedJob, live: Attempt | None, now: datetime) -> list[Action]:
    """A Job that its queue may admit with fewer pods has a workload document from its admission to its suspension."""
    if not job.is_partial or job.deleting:
        return []
    if job.suspended:
        return [DropDocument(job.name, job.uid)] if job.document_nodes is not None else []
    if live is None or live.nodes != job.completions or job.document_nodes is not None:
        return []
    return [WriteDocument(job.name, job.uid, job.completions, now)]
