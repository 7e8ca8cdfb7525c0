"""spec.startTimeoutSeconds: the pods of an attempt run together, or the attempt ends.

Without it two runs that hold half of the GPUs each would wait for each other for ever. Pods of which none has a node
hold nothing, so they are in nobody's way: they wait as any pending pod does.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.v1alpha1 import Attempt, TrainingRun
from deepsynth_operator.core.observed import ObservedJob, ObservedPod
from deepsynth_operator.decisions.shared.starting import find_configuration_error, find_obstacle
from deepsynth_operator.decisions.training_run.outcomes import Cause

_SETTLING: Final = timedelta(seconds=60)
"""How long a pod that has a node may be hindered by what passes, such as a Secret that is fetched late."""


def find_start_timeout(
    run: TrainingRun, attempt: Attempt, job: ObservedJob, pods: Sequence[ObservedPod], now: datetime
) -> Cause | None:
    """Why the attempt must end although nothing failed; None while it may still start."""
    if attempt.running_time is not None or job.started is None:
        return None
    pods = [pod for pod in pods if not pod.has_ended]
    held = [pod.scheduled for pod in pods if pod.scheduled is not None]
    if pods and not held:
        return None
    # Without any pod, something keeps the Job controller from creating them: a quota, a policy.
    timeout = timedelta(seconds=run.spec.start_timeout_seconds)
    if now < max(job.started, min(held, default=job.started)) + timeout:
        return None
    settling = min(_SETTLING, timeout / 2)
    settled = [pod for pod in pods if pod.scheduled is not None and now >= pod.scheduled + settling]
    if (error := find_configuration_error(settled)) is not None:
        return Cause("Failed", error.reason, error.message, node=error.pod.node, time=now)
    return Cause("Disrupted", "NotStarted", _describe(run, pods, now))


def _describe(run: TrainingRun, pods: Sequence[ObservedPod], now: datetime) -> str:
    started = sum(pod.started is not None for pod in pods)
    text = f"{started} of {run.spec.num_nodes} pods ran within {run.spec.start_timeout_seconds} s"
    obstacle = find_obstacle(pods, now)
    return f"{text}: {obstacle.message}" if obstacle else text
