"""How many pods the next attempt has: spec.numNodes, or with spec.elastic as many as there are nodes.

    attempt 1   4 pods   for a minute only 2 have a node     Suspended, FewerNodes, scheduledNodes 2
    attempt 2   2 pods   works for half an hour              Suspended, ScaleUp: it saves and stops
    attempt 3   4 pods   for a minute only 3 have a node     Suspended, FewerNodes, scheduledNodes 3
    attempt 4   3 pods   works for an hour, because attempt 3 was in vain

Each attempt tries spec.numNodes, except one that follows another which found fewer nodes. In a queue, the queue decides
how many pods a Job has.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.delays import compute_delay
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_operator.core.observed import ObservedPod

MAX_WAIT_FACTOR: Final = 8
"""Times scaleUpAfterSeconds: the longest time between two tries of spec.numNodes."""
RESIZED: Final = frozenset({Reason.FEWER_NODES, Reason.SCALE_UP})
"""Why an attempt ended so that the next one has another number of pods."""
_SHORT_REST: Final = timedelta(minutes=10)
"""A run that is expected to end within this time does not stop for more nodes: to stop and start takes minutes too."""
_RECENT: Final = timedelta(minutes=10)
"""How long the number of nodes that an attempt found is believed, for example while the run is suspended."""


def choose_nodes(run: TrainingRun, status: TrainingRunStatus, now: datetime) -> int:
    """Pods of the next attempt."""
    last, elastic = status.attempts[-1] if status.attempts else None, run.spec.elastic
    if last is None or elastic is None or not _found_fewer(last):
        return run.spec.num_nodes
    is_recent = last.end_time is not None and now < last.end_time + _RECENT
    found = last.scheduled_nodes or 0
    return found if is_recent and elastic.min_nodes <= found < run.spec.num_nodes else run.spec.num_nodes


def find_first_scheduled(pods: Sequence[ObservedPod]) -> dict[int, datetime]:
    """When the pods that hold a node got it, by their index."""
    held = [pod for pod in pods if not pod.has_ended and pod.deletion is None]
    return {pod.index: pod.scheduled for pod in held if pod.scheduled is not None}


def compute_scale_up_time(run: TrainingRun, status: TrainingRunStatus, attempt: Attempt) -> datetime | None:
    """When `attempt`, the last one, may stop to try spec.numNodes; None if it has all of them, or does not run."""
    elastic = run.spec.elastic
    if elastic is None or attempt.running_time is None or not has_fewer_nodes(run, attempt):
        return None
    first = elastic.scale_up_after_seconds
    tries = _count_vain_tries(run, status.attempts)
    return attempt.running_time + timedelta(seconds=compute_delay(tries, first=first, longest=MAX_WAIT_FACTOR * first))


def is_nearly_done(run: TrainingRun, now: datetime) -> bool:
    """Whether stopping to get more nodes would take longer than the steps that are left."""
    progress = run.status.progress
    end = progress.estimated_completion_time if progress is not None else None
    return end is not None and end < now + _SHORT_REST


def has_fewer_nodes(run: TrainingRun, attempt: Attempt) -> bool:
    """Whether `attempt` has fewer pods than the spec asks for."""
    return attempt.nodes is not None and attempt.nodes < run.spec.num_nodes


def describe_fewer(run: TrainingRun, status: TrainingRunStatus, attempt: Attempt, *, is_queued: bool) -> str:
    """Such as `1 of 2 nodes, tries 2 after 29 Nov 13:10:00 UTC`; empty for an attempt with all of them."""
    if not has_fewer_nodes(run, attempt):
        return ""
    text = f"{attempt.nodes} of {run.spec.num_nodes} nodes"
    due = None if is_queued else compute_scale_up_time(run, status, attempt)
    return text if due is None else f"{text}, tries {run.spec.num_nodes} after {due:%d %b %H:%M:%S} UTC"


def _count_vain_tries(run: TrainingRun, attempts: Sequence[Attempt]) -> int:
    """How often spec.numNodes were tried and not found since the run last had all of them."""
    count = 0
    for attempt in reversed(attempts):
        if not has_fewer_nodes(run, attempt):
            if attempt.running_time is not None:
                break
            count += _found_fewer(attempt)
    return count


def _found_fewer(attempt: Attempt) -> bool:
    return attempt.outcome == "Suspended" and attempt.reason == Reason.FEWER_NODES
