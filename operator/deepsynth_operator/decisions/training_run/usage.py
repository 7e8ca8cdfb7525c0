"""status.usage: GPU-seconds held by attempts, and the part spent on steps that were lost."""

from datetime import datetime

from deepsynth_api.v1alpha1 import TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run_status import Usage
from deepsynth_operator.decisions.training_run.attempts import replace_last
from deepsynth_operator.manifests.train_job import count_gpus_per_node


def account_usage(run: TrainingRun, status: TrainingRunStatus, now: datetime) -> TrainingRunStatus:
    """Count what the last attempt has held until now, or until its end, and how much of that was lost.

    Idempotent: the attempt's entry holds its share, so that a checkpoint seen late corrects the loss.
    """
    last = status.attempts[-1] if status.attempts else None
    if last is None or last.held_time is None:
        return status
    gpus, end = run.spec.num_nodes * count_gpus_per_node(run), last.end_time or now
    held = max(gpus * _seconds(last.held_time, end), last.gpu_seconds)
    lost = 0
    if last.end_time is not None and last.outcome != "Succeeded":
        lost = gpus * _seconds(max(last.saved_time or last.held_time, last.held_time), end)
    usage = Usage(
        gpu_seconds=status.usage.gpu_seconds - last.gpu_seconds + held,
        lost_gpu_seconds=status.usage.lost_gpu_seconds - last.lost_gpu_seconds + lost,
    )
    return replace_last(status, last.updated(gpu_seconds=held, lost_gpu_seconds=lost)).updated(usage=usage)


def _seconds(begin: datetime, end: datetime) -> int:
    return max(int((end - begin).total_seconds()), 0)
