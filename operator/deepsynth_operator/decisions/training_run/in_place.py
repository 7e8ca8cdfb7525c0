"""Attempts that start in the pods of the one before: what the launchers report of them.

When a process fails and pods and nodes are well, the launchers agree to start all processes again, which takes seconds.
A report lists the attempts that ended so. Each is counted as any other failure, and the attempt that follows has a
number, a start and an end of its own:

    report.restarts                 -            [kill of rank 3]           [kill of rank 3, bug of rank 0]
    status.attempts                 1 runs       1 Failed, 2 runs           1 Failed, 2 Failed, 3 runs

If there must not be another attempt, or not of these settings, none starts: the Job is deleted with its pods.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from deepsynth_api.report import Restart
from deepsynth_api.v1alpha1 import Attempt, TrainingRunStatus
from deepsynth_operator.core.observed import ObservedPod, ObservedRun
from deepsynth_operator.decisions.shared.decision import Cause
from deepsynth_operator.decisions.shared.policies import first_match
from deepsynth_operator.decisions.training_run.attempts import (
    account_usage,
    count_in_place,
    end_attempt,
    get_live,
    start_attempt,
)
from deepsynth_operator.decisions.training_run.next_attempt.changes import forget_earlier, has_new_settings
from deepsynth_operator.decisions.training_run.policies import FAILURE_POLICIES
from deepsynth_operator.decisions.training_run.root_cause import set_cause
from deepsynth_operator.decisions.training_run.view import RunView


def take_restarts(
    observed: ObservedRun, status: TrainingRunStatus, pods: Sequence[ObservedPod], now: datetime
) -> TrainingRunStatus:
    """`status` with the attempts that ended in place, and the one that runs now."""
    run = observed.run
    known = count_in_place(status)
    lists = [pod.report.restarts for pod in pods if pod.report is not None]
    for restart in max(lists, key=len, default=[])[known:]:
        live = get_live(status)
        if live is None or live.outcome is not None:
            break
        status = _end(status, live, restart, pods, now)
        status = account_usage(run, status, pods, now)
        view = RunView(observed, forget_earlier(status), now)
        if run.spec.suspend or has_new_settings(status, run.spec) or first_match(FAILURE_POLICIES, view) is not None:
            break
        status = start_attempt(status, _continue(status.attempts[-1]))
    return status


def drop_old_reports(status: TrainingRunStatus, pods: Sequence[ObservedPod]) -> list[ObservedPod]:
    """`pods` without reports of before the last restart in place: a report may arrive late."""
    restarts = count_in_place(status)
    is_old = [pod.report is not None and len(pod.report.restarts) < restarts for pod in pods]
    return [replace(pod, report=None) if old else pod for pod, old in zip(pods, is_old, strict=True)]


def _end(
    status: TrainingRunStatus, live: Attempt, restart: Restart, pods: Sequence[ObservedPod], now: datetime
) -> TrainingRunStatus:
    end = min(max(restart.time, live.start_time), now)
    attempt = set_cause(live, _build_cause(restart, end, pods))
    steps = [step for step in (live.last_step, restart.step) if step is not None]
    resumed = live.resumed_from_step if restart.resumed_from_step is None else restart.resumed_from_step
    attempt = attempt.updated(last_step=max(steps, default=None), resumed_from_step=resumed, obstacle="")
    saved = restart.saved_step or 0
    if saved > status.saved_step:
        if saved > (resumed or 0):
            attempt = attempt.updated(saved_step=saved, saved_time=min(restart.saved_time or end, end))
        status = status.updated(saved_step=saved)
    return end_attempt(status, attempt, end)


def _build_cause(restart: Restart, end: datetime, pods: Sequence[ObservedPod]) -> Cause:
    """A report is untrusted, so a node is named only if a pod of the attempt is there."""
    failure = restart.failure
    node = failure.node if failure.node in {pod.node for pod in pods} else None
    return Cause(
        outcome="Failed",
        reason=failure.reason,
        message=failure.message,
        exit_code=failure.exit_code,
        rank=failure.rank,
        node=node,
        step=failure.step,
        time=end,
    )


def _continue(ended: Attempt) -> Attempt:
    """The attempt after `ended`, in its pods: it holds their GPUs from the end of that on."""
    start = ended.end_time or ended.start_time
    return Attempt(
        number=ended.number + 1,
        start_time=start,
        held_time=start,
        running_time=start,
        job=ended.job,
        job_uid=ended.job_uid,
        in_place=True,
        image=ended.image,
        nodes=ended.nodes,
        gpus_per_node=ended.gpus_per_node,
        cpus_per_node=ended.cpus_per_node,
        price=ended.price,
        avoided_nodes=ended.avoided_nodes,
    )
