"""How long the pods of a generation's Jobs ran, and what that cost.

Pods of a Job come and go: a pod that was deleted is known for ten minutes. So the time of pods that ended is settled in
the entry of the Job a few minutes later, up to a moment that is noted with it, and each pod is counted once:

    settled up to 12:00     pods that ended by 12:00
    open                    those that run, or ended after 12:00: counted again at each look, until they are settled
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.v1alpha1 import DatasetGenerationStatus
from deepsynth_api.v1alpha1.dataset_generation_status import ChildJob, SettledPods
from deepsynth_api.v1alpha1.shared.usage import ContainerUsage
from deepsynth_operator.core.observed import ObservedGeneration, ObservedJob, ObservedPod
from deepsynth_operator.core.prices import PriceTable
from deepsynth_operator.decisions.dataset_generation.jobs import list_jobs, list_live, list_newest, replace_job
from deepsynth_operator.decisions.shared.numbers import sum_counts
from deepsynth_operator.decisions.shared.usage import measure_usage, note_price, replace_usage

SETTLE_AFTER: Final = timedelta(minutes=5)
"""Half the time for which deleted pods are known, and more than any watch is late."""


def account_job(
    observed: ObservedGeneration, status: DatasetGenerationStatus, now: datetime
) -> DatasetGenerationStatus:
    """Count the time of the live Jobs' pods where something else is new as well: it grows with every second."""
    before = observed.generation.status
    live = {job.name for job in list_live(before)}
    if live == {job.name for job in list_live(status)} and before.progress == status.progress:
        return status
    for entry in [job for job in list_jobs(status) if job.name in live]:
        measured = _measure(entry, observed.children.get_pods(entry.name), now)
        status = replace_job(status, measured).updated(usage=replace_usage(status.usage, entry, measured))
    return status


def price_job(entry: ChildJob, job: ObservedJob | None, pods: Sequence[ObservedPod], prices: PriceTable) -> ChildJob:
    """`entry` with what each pod requests and costs, once the first one has started."""
    if entry.cpus_per_pod is not None or (noted := note_price(job, pods, prices)) is None:
        return entry
    cpus, price = noted
    return entry.updated(cpus_per_pod=cpus, price=price)


def drop_usage(status: DatasetGenerationStatus) -> DatasetGenerationStatus:
    """`status` without what grows with every second."""
    unused = ContainerUsage()
    for job in list_newest(status):
        status = replace_job(status, job.updated(pod_seconds=0, lost_pod_seconds=0, settled=None, **unused.__dict__))
    return status.updated(usage=unused)


def _measure(entry: ChildJob, pods: Sequence[ObservedPod], now: datetime) -> ChildJob:
    settled = _settle(entry.settled or SettledPods(time=entry.start_time), pods, now)
    is_open = [not pod.has_ended or _find_end(pod, now) > settled.time for pod in pods]
    whole = _add(settled, [pod for pod, still in zip(pods, is_open, strict=True) if still], now)
    # Pods that ended and vanished while the operator was down are missing: what was counted stays.
    seconds = max(whole.pod_seconds, entry.pod_seconds)
    lost = min(max(whole.lost_pod_seconds, entry.lost_pod_seconds), seconds)
    usage = measure_usage(entry.cpus_per_pod, entry.price, seconds, lost)
    kept = settled if settled.pod_seconds else entry.settled
    return entry.updated(settled=kept, pod_seconds=seconds, lost_pod_seconds=lost, **usage)


def _settle(before: SettledPods, pods: Sequence[ObservedPod], now: datetime) -> SettledPods:
    cut = now - SETTLE_AFTER
    ended = [pod for pod in pods if pod.has_ended and before.time < _find_end(pod, now) <= cut]
    return _add(before, ended, now).updated(time=cut) if ended else before


def _add(settled: SettledPods, pods: Sequence[ObservedPod], now: datetime) -> SettledPods:
    spans = [(_count_seconds(pod, now), pod.has_ended and pod.exit_code != 0) for pod in pods]
    return settled.updated(
        pod_seconds=sum_counts([settled.pod_seconds, *(seconds for seconds, _ in spans)]),
        lost_pod_seconds=sum_counts([settled.lost_pod_seconds, *(seconds for seconds, is_lost in spans if is_lost)]),
    )


def _count_seconds(pod: ObservedPod, now: datetime) -> int:
    if pod.started is None:
        return 0
    return max(int((_find_end(pod, now) - pod.started).total_seconds()), 0)


def _find_end(pod: ObservedPod, now: datetime) -> datetime:
    """When its container ended, or `now`. A pod that vanished with its node ended when it had to be gone."""
    end = pod.finished or (pod.deletion if pod.has_ended else None) or now
    return min(end, now)
