"""What the pods of a Job do before they are at work, in a sentence that names what is in the way."""

from collections.abc import Sequence
from typing import Final

from deepsynth_operator.observed import ObservedPod

_GB: Final = 1e9
_MB: Final = 1e6


def describe_start(pods: Sequence[ObservedPod]) -> str:
    """What it does before the first step, with the bytes downloaded."""
    for pod in pods:
        train = pod.report.train if pod.report else None
        if train is not None and train.download_bytes_total:
            unit, name = (_GB, "GB") if train.download_bytes_total >= _GB else (_MB, "MB")
            done, total = (train.download_bytes or 0) / unit, train.download_bytes_total / unit
            return f"downloading, {done:.1f} of {total:.1f} {name}"
    waiting = next((pod for pod in pods if pod.waiting_reason not in {None, "ContainerCreating"}), None)
    if waiting is not None:
        return f"pod {waiting.name}: {waiting.waiting_reason}: {waiting.waiting_message}"
    unscheduled = next((pod.unschedulable for pod in pods if pod.unschedulable), None)
    return unscheduled or f"running pods: {sum(pod.started is not None and not pod.has_ended for pod in pods)}"
