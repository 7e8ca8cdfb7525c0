"""When an attempt is over, and with which outcome: the policies that only runs have.

The order is in `policies.py`. What the attempt's entry already says comes first: see `conclude_attempt` in `decide.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt, TrainingRun
from deepsynth_operator.core.observed import ObservedPod
from deepsynth_operator.decisions.shared.decision import Cause
from deepsynth_operator.decisions.shared.ends import CACHE_LAG, CLOCK_TOLERANCE, LiveJob
from deepsynth_operator.decisions.shared.obstacles import find_configuration_error, find_obstacle
from deepsynth_operator.decisions.shared.policies import NOT_OVER, NotOver
from deepsynth_operator.decisions.training_run.next_attempt.elastic import (
    compute_scale_up_time,
    find_first_scheduled,
    is_nearly_done,
)
from deepsynth_operator.decisions.training_run.next_attempt.nodes import NO_ROOM_AFTER
from deepsynth_operator.decisions.training_run.root_cause import find_weak_cause
from deepsynth_operator.manifests.train_job import count_nodes

_SETTLING: Final = timedelta(seconds=60)
"""How long a temporary obstacle may hold up a pod that has a node, such as a Secret that is synced late."""


@dataclass(frozen=True, slots=True)
class LiveAttempt(LiveJob):
    """What the end policies of a run see."""

    resource: TrainingRun
    attempt: Attempt


def succeeded(live: LiveAttempt) -> Cause | None:
    complete = live.job is not None and live.job.is_complete
    return Cause("Succeeded", Reason.SUCCEEDED, "", exit_code=0) if complete else None


def failed(live: LiveAttempt) -> Cause | None:
    return find_weak_cause(live.pods, live.job) if live.job is not None and live.job.is_failed else None


def requeued(live: LiveAttempt) -> Cause | None:
    taken = live.job is not None and live.job.suspended and live.attempt.held_time is not None
    return Cause("Suspended", Reason.REQUEUED_BY_QUEUE, "the queue took its resources back") if taken else None


def admitted_again(live: LiveAttempt) -> Cause | None:
    """Nobody looked while the queue had evicted the Job. Pods with the old document would wait for each other."""
    job = live.job
    if job is None or not job.is_partial or job.suspended or job.document_nodes in {None, job.completions}:
        return None
    message = (
        f"the queue admitted the Job again, with {counted(job.completions, 'pod')} instead of {job.document_nodes}"
    )
    return Cause("Disrupted", Reason.REQUEUED_BY_QUEUE, message)


def lost_pod(live: LiveAttempt) -> Cause | NotOver | None:
    """A Job in a queue survives its pods. What ended the first one decides, after a while for the others to end."""
    job = live.job
    if job is None or not job.replaces_pods or job.suspended or job.is_failing:
        return None
    ended = [pod for pod in live.pods if pod.has_ended and pod.exit_code != 0]
    if not ended:
        return _find_replaced(live)
    first = min((pod.finished for pod in ended if pod.finished is not None), default=None)
    all_ended = len({pod.index for pod in ended}) >= job.completions
    settled = all_ended or live.attempt.outcome == "Disrupted" or first is None or live.now >= first + CACHE_LAG
    return find_weak_cause(live.pods, job) if settled else NOT_OVER


def _find_replaced(live: LiveAttempt) -> Cause | None:
    """A pod that is younger than the moment when all ran: nobody looked when the one before it ended."""
    ran = live.attempt.running_time
    if ran is None:
        return None
    young = [pod for pod in live.pods if pod.created is not None and pod.created > ran + CLOCK_TOLERANCE]
    return Cause("Disrupted", Reason.POD_DELETED, f"pod {young[0].name} replaced another") if young else None


def found_fewer_nodes(live: LiveAttempt) -> Cause | None:
    """The next attempt has as many pods as found a node. In a queue, the queue decides how many there are."""
    job, run, attempt = live.job, live.resource, live.attempt
    elastic, nodes = run.spec.elastic, count_nodes(run, attempt)
    if elastic is None or job is None or job.started is None or job.is_queued:
        return None
    held = find_first_scheduled(live.pods)
    if attempt.running_time or attempt.outcome or not elastic.min_nodes <= len(held) < nodes:
        return None
    seconds = min(elastic.scale_down_after_seconds, run.spec.start_timeout_seconds)
    if live.now < max(job.started, min(held.values())) + timedelta(seconds=seconds):
        return None
    message = f"{len(held)} of {nodes} pods found a node within {seconds} s; the next attempt has as many"
    return Cause("Suspended", Reason.FEWER_NODES, message, next_nodes=len(held))


def tries_more_nodes(live: LiveAttempt) -> Cause | None:
    """Only after it has saved a checkpoint: an attempt that never does would otherwise be repeated without progress."""
    job, run, attempt = live.job, live.resource, live.attempt
    if job is None or job.is_queued or attempt.outcome or attempt.saved_step is None:
        return None
    due = compute_scale_up_time(run, run.status, attempt)
    if due is None or live.now < due or is_nearly_done(run, live.now):
        return None
    message = f"worked with {attempt.nodes} of {run.spec.num_nodes} nodes; the next attempt tries all of them"
    return Cause("Suspended", Reason.SCALE_UP, message)


def found_no_room(live: LiveAttempt) -> Cause | None:
    """The next attempt avoids no node. In a queue, an attempt may use the nodes that it avoids if no other is free."""
    job, attempt = live.job, live.attempt
    if job is None or job.started is None or job.is_queued or not attempt.avoided_nodes or attempt.running_time:
        return None
    pods = [pod for pod in live.pods if pod.scheduled is None and pod.unschedulable and not pod.has_ended]
    if not pods or live.now < job.started + NO_ROOM_AFTER:
        return None
    names = ", ".join(attempt.avoided_nodes)
    found = f"{counted(len(pods), 'pod')} found no node within {NO_ROOM_AFTER.seconds} s"
    message = f"{found}; avoided: {names}; {pods[0].unschedulable}"
    return Cause("Disrupted", Reason.NOT_STARTED, message)


def not_started(live: LiveAttempt) -> Cause | None:
    """The pods of an attempt run together, or the attempt ends.

    Without this, two runs that hold half of the GPUs each would wait for each other indefinitely. While no pod has a
    node they hold nothing and block nobody, so they wait as any pending pod does.
    """
    job, run, now = live.job, live.resource, live.now
    if job is None or live.attempt.running_time is not None or (since := job.could_start) is None:
        return None
    pods = [pod for pod in live.pods if not pod.has_ended]
    held = [pod.scheduled for pod in pods if pod.scheduled is not None]
    if pods and not held:
        return None
    # Without any pod, something keeps the Job controller from creating them: a quota, a policy.
    timeout = timedelta(seconds=run.spec.start_timeout_seconds)
    if now < max(since, min(held, default=since)) + timeout:
        return None
    settling = min(_SETTLING, timeout / 2)
    settled = [pod for pod in pods if pod.scheduled is not None and now >= pod.scheduled + settling]
    if (error := find_configuration_error(settled)) is not None:
        return Cause("Failed", error.reason, error.message, node=error.pod.node, time=now)
    return Cause("Disrupted", Reason.NOT_STARTED, _describe_not_started(run, count_nodes(run, live.attempt), pods, now))


def _describe_not_started(run: TrainingRun, nodes: int, pods: Sequence[ObservedPod], now: datetime) -> str:
    started = sum(pod.started is not None for pod in pods)
    text = f"{started} of {nodes} pods ran within {run.spec.start_timeout_seconds} s"
    obstacle = find_obstacle(pods, now)
    return f"{text}: {obstacle.message}" if obstacle else text
