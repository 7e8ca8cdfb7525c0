"""status.lastFailure: the newest failure of a pod, kept because the Job controller deletes pods."""

from collections.abc import Iterable
from datetime import datetime

from deepsynth_api.v1alpha1.dataset_generation_status import LastFailure
from deepsynth_operator.core.observed import ObservedPod
from deepsynth_operator.decisions.training_run.outcomes import describe_exit, is_failure, name_exit


def find_last_failure(
    old: LastFailure | None, step: str, pods: Iterable[ObservedPod], now: datetime
) -> LastFailure | None:
    """The newest of `old` and what these pods of `step` ended with."""
    failed = [pod for pod in pods if is_failure(pod) and pod.disruption is None]
    newest = max(failed, key=lambda pod: (_get_end(pod, now), pod.index), default=None)
    if newest is None or (old is not None and _get_end(newest, now) <= old.time):
        return old
    failure = newest.report.failure if newest.report else None
    return LastFailure(
        time=_get_end(newest, now),
        step=step,
        index=newest.index if step == "render" else None,
        reason=failure.reason if failure else name_exit(newest),
        message=(failure.message if failure else describe_exit(newest))[:1024],
        exit_code=newest.exit_code,
        node=newest.node,
    )


def _get_end(pod: ObservedPod, now: datetime) -> datetime:
    """A kubelet that lost its container (ContainerStatusUnknown) does not say when: never a time that moves on."""
    return pod.finished or pod.created or now
