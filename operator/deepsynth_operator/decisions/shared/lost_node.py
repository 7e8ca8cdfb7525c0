"""A node that does not answer keeps its pods in Terminating for ever, and a Job without a condition."""

from datetime import datetime, timedelta
from typing import Final

from deepsynth_operator.core.observed import ObservedPod

STUCK: Final = timedelta(seconds=30)
"""How long beyond its grace period a pod may take to go."""


def is_overdue(pod: ObservedPod, now: datetime) -> bool:
    """Whether the pod should be gone."""
    return pod.deletion is not None and now >= pod.deletion + STUCK and not pod.is_final


def is_lost(pod: ObservedPod, now: datetime) -> bool:
    """Whether the pod hangs in Terminating because its node does not answer any more."""
    return is_overdue(pod, now) and pod.node_ready is not True


def describe_lost(pod: ObservedPod) -> str:
    return f"pod {pod.name} does not end; node {pod.node} does not answer"
