"""status.usage: GPU-seconds held by attempts, and those of them that are not behind a step that was kept."""

from datetime import datetime

from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_operator.status.attempts import replace_last

GPU = "nvidia.com/gpu"


def count_gpus(run: TrainingRun) -> int:
    """GPUs of all pods of an attempt."""
    return run.spec.num_nodes * int(run.spec.resources_per_node.limits.get(GPU, 0))


def account_usage(run: TrainingRun, status: TrainingRunStatus, now: datetime) -> TrainingRunStatus:
    """Count what the last attempt has held until now, or until its end."""
    last = status.attempts[-1] if status.attempts else None
    if last is None or last.held_time is None:
        return status
    held = count_gpus(run) * _seconds(last.held_time, last.end_time or now)
    added = max(held - last.gpu_seconds, 0)
    usage = status.usage.updated(gpu_seconds=status.usage.gpu_seconds + added)
    return replace_last(status, last.updated(gpu_seconds=last.gpu_seconds + added)).updated(usage=usage)


def account_loss(run: TrainingRun, status: TrainingRunStatus, ended: Attempt) -> TrainingRunStatus:
    """Count what an attempt that is over held after its last checkpoint. Call it once per attempt, at its end."""
    if ended.outcome == "Succeeded" or ended.held_time is None or ended.end_time is None:
        return status
    begin = max(ended.saved_time or ended.held_time, ended.held_time)
    lost = count_gpus(run) * _seconds(begin, ended.end_time)
    return status.updated(usage=status.usage.updated(lost_gpu_seconds=status.usage.lost_gpu_seconds + lost))


def _seconds(begin: datetime, end: datetime) -> int:
    return max(int((end - begin).total_seconds()), 0)
