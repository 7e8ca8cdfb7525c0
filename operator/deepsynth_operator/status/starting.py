"""What the pods of a Job do before they are at work, in a sentence that names what is in the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from deepsynth_operator.observed import ObservedPod

_GB: Final = 1e9
_MB: Final = 1e6
_PROGRESSING: Final = frozenset({"ContainerCreating", "PodInitializing"})
"""What passes by itself, unless a volume is missing: that is told in the pod's Events alone."""
_LONG_START: Final = timedelta(minutes=5)
_LOOK: Final = "for more than 5 minutes: a large image, or a volume that is missing; `kubectl describe pod` tells"
_PULL_FAILED: Final = "ImagePullBackOff"
UNSCHEDULABLE: Final = "Unschedulable"
CONFIGURATION_ERRORS: Final = frozenset(
    {
        _PULL_FAILED,
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""What a container waits for until a person mends it."""
OBSTACLES: Final = CONFIGURATION_ERRORS | _PROGRESSING | {UNSCHEDULABLE}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a pod's container does not start. reason: one of OBSTACLES, or the kubelet's own word."""

    reason: str
    message: str
    pod: ObservedPod


def find_obstacle(pods: Sequence[ObservedPod], now: datetime) -> Obstacle | None:
    """The first thing in the way of any of these pods; None where all go on by themselves."""
    for pod in pods:
        if pod.waiting_reason is not None and pod.waiting_reason not in _PROGRESSING:
            reason = _name_waiting(pod.waiting_reason)
            return Obstacle(reason, f"pod {pod.name}: {pod.waiting_reason}: {pod.waiting_message}", pod)
    for pod in pods:
        if pod.unschedulable:
            return Obstacle(UNSCHEDULABLE, f"pod {pod.name}: {pod.unschedulable}", pod)
    for pod in pods:
        if pod.waiting_reason in _PROGRESSING and pod.scheduled is not None and now >= pod.scheduled + _LONG_START:
            return Obstacle(pod.waiting_reason, f"pod {pod.name}: {pod.waiting_reason} {_LOOK}", pod)
    return None


def find_configuration_error(pods: Sequence[ObservedPod], now: datetime) -> Obstacle | None:
    """The first obstacle that a person has to mend."""
    found = (find_obstacle([pod], now) for pod in pods)
    return next((item for item in found if item is not None and item.reason in CONFIGURATION_ERRORS), None)


def describe_start(pods: Sequence[ObservedPod], now: datetime) -> str:
    """What it does before the first step, with the bytes downloaded."""
    for pod in pods:
        train = pod.report.train if pod.report else None
        if train is not None and train.download_bytes_total:
            unit, name = (_GB, "GB") if train.download_bytes_total >= _GB else (_MB, "MB")
            done, total = (train.download_bytes or 0) / unit, train.download_bytes_total / unit
            return f"downloading, {done:.1f} of {total:.1f} {name}"
    obstacle = find_obstacle(pods, now)
    return obstacle.message if obstacle else f"running pods: {sum(pod.is_at_work for pod in pods)}"


def _name_waiting(reason: str) -> str:
    """The kubelet changes between the two for as long as a pull fails: one word, so that nobody is told each time."""
    return _PULL_FAILED if reason == "ErrImagePull" else reason
