"""status.lastFailure: the newest failure of a pod, kept because the Job controller deletes pods."""

from collections.abc import Iterable
from datetime import datetime

from deepsynth_api.v1alpha1.dataset_generation_status import LastFailure
from deepsynth_operator.observed import ObservedPod
from deepsynth_operator.status.outcomes import describe_exit, is_failure, name_exit


def find_last_failure(
    old: LastFailure | None, step: str, pods: Iterable[ObservedPod], now: datetime
) -> LastFailure | None:
    """The newest of `old` and what these pods of `step` ended with."""
    failed = [pod for pod in pods if is_failure(pod) and pod.disruption is None]
    newest = max(failed, key=lambda pod: (pod.finished or now, pod.index), default=None)
    if newest is None or (old is not None and (newest.finished or now) <= old.time):
        return old
    failure = newest.report.failure if newest.report else None
    return LastFailure(
        time=newest.finished or now,
        step=step,
        index=newest.index if step == "render" else None,
        reason=failure.reason if failure else name_exit(newest),
        message=(failure.message if failure else describe_exit(newest))[:1024],
        exit_code=newest.exit_code,
        node=newest.node,
    )
