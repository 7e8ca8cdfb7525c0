"""Why the pods of a Job do not run yet: the first obstacle, in a sentence that names it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_api.report_bounds import cut_text
from deepsynth_operator.core.observed import ObservedJob, ObservedPod

MAX_OBSTACLE_BYTES: Final = 512
"""Of the obstacle that an entry of the status keeps."""
_GB: Final = 1e9
_MB: Final = 1e6
_PROGRESSING: Final = frozenset({Reason.CONTAINER_CREATING, Reason.POD_INITIALIZING})
"""Usually temporary. A missing volume shows up nowhere else but in the pod's Events."""
_SLOW_START_MINUTES: Final = 5
_MISSING_AFTER: Final = timedelta(seconds=60)
"""Kubernetes creates pods within seconds, also those of many Jobs."""
_PULL_FAILED: Final = Reason.IMAGE_PULL_BACK_OFF
UNSCHEDULABLE: Final = Reason.UNSCHEDULABLE
CONFIGURATION_ERRORS: Final = frozenset(
    {
        _PULL_FAILED,
        Reason.INVALID_IMAGE_NAME,
        Reason.ERR_IMAGE_NEVER_PULL,
        Reason.IMAGE_INSPECT_ERROR,
        Reason.REGISTRY_UNAVAILABLE,
        Reason.CREATE_CONTAINER_CONFIG_ERROR,
        Reason.CREATE_CONTAINER_ERROR,
        Reason.RUN_CONTAINER_ERROR,
    }
)
"""What a container waits for until a user fixes it."""
OBSTACLES: Final = CONFIGURATION_ERRORS | _PROGRESSING | {UNSCHEDULABLE, Reason.PODS_NOT_CREATED}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a pod's container does not start. reason: one of OBSTACLES, or the kubelet's own word."""

    reason: str
    message: str
    pod: ObservedPod


def find_obstacle(pods: Sequence[ObservedPod], now: datetime) -> Obstacle | None:
    """The first obstacle of any of these pods; None if all of them proceed by themselves."""
    waiting = (_find_waiting(pod) for pod in pods)
    unschedulable = (_find_unschedulable(pod) for pod in pods)
    slow = (_find_slow_start(pod, now) for pod in pods)
    return next(filter(None, chain(waiting, unschedulable, slow)), None)


def find_configuration_error(pods: Sequence[ObservedPod]) -> Obstacle | None:
    """The first obstacle that a user has to fix."""
    waiting = filter(None, map(_find_waiting, pods))
    return next((obstacle for obstacle in waiting if obstacle.reason in CONFIGURATION_ERRORS), None)


def remember_obstacle(before: str, pods: Sequence[ObservedPod], now: datetime) -> str:
    """What last kept pods from starting: their obstacle now, else `before`. A queue may take them away at any time."""
    obstacle = find_obstacle(pods, now)
    return cut_text(obstacle.message, MAX_OBSTACLE_BYTES) if obstacle is not None else before


def describe_start(pods: Sequence[ObservedPod], now: datetime) -> str:
    """What the pods do before the first step: bytes downloaded, an obstacle, or how many of them run."""
    for pod in pods:
        train = pod.report.train if pod.report else None
        if train is not None and train.download_bytes_total:
            unit, name = (_GB, "GB") if train.download_bytes_total >= _GB else (_MB, "MB")
            done, total = (train.download_bytes or 0) / unit, train.download_bytes_total / unit
            return f"downloading, {done:.1f} of {total:.1f} {name}"
    obstacle = find_obstacle(pods, now)
    return obstacle.message if obstacle else f"running pods: {sum(pod.is_at_work for pod in pods)}"


def describe_missing(job: ObservedJob, pods: Sequence[ObservedPod], now: datetime) -> str:
    """What to do about a Job that should have pods and has none; empty if it has, or if it is still early.

    Only the Job's Events name who rejects them. The operator may not read Events.
    """
    if pods or job.could_start is None or now < job.could_start + _MISSING_AFTER:
        return ""
    return (
        f"no pod of Job {job.name} could be created: a ResourceQuota, Pod Security or another admission policy rejects "
        f"them; `kubectl describe job {job.name}` shows which"
    )


def _find_waiting(pod: ObservedPod) -> Obstacle | None:
    if pod.waiting_reason is None or pod.waiting_reason in _PROGRESSING:
        return None
    reason = _name_waiting(pod.waiting_reason)
    return Obstacle(reason, f"pod {pod.name}: {pod.waiting_reason}: {pod.waiting_message}", pod)


def _find_unschedulable(pod: ObservedPod) -> Obstacle | None:
    return Obstacle(UNSCHEDULABLE, f"pod {pod.name}: {pod.unschedulable}", pod) if pod.unschedulable else None


def _find_slow_start(pod: ObservedPod, now: datetime) -> Obstacle | None:
    if pod.waiting_reason not in _PROGRESSING or pod.scheduled is None:
        return None
    if now < pod.scheduled + timedelta(minutes=_SLOW_START_MINUTES):
        return None
    look = "a large image, or a missing volume; see `kubectl describe pod`"
    message = f"pod {pod.name}: {pod.waiting_reason} for more than {_SLOW_START_MINUTES} minutes: {look}"
    return Obstacle(pod.waiting_reason, message, pod)


def _name_waiting(reason: str) -> str:
    """The kubelet alternates between two words while a pull fails. One word, so that it is one event."""
    return _PULL_FAILED if reason == "ErrImagePull" else reason
