"""status.attempts: one entry each time all processes are to run together, written before its Job is created.

Attempt number and Job name are two things: when a queue evicts a Job and admits it again, that is another attempt.
`account_usage` adds up in status.usage what the attempts cost.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run_status import AttemptOutcome, RunSummary
from deepsynth_operator.core.observed import Children, ObservedJob, ObservedPod
from deepsynth_operator.core.prices import PriceTable
from deepsynth_operator.decisions.shared.numbers import sum_counts
from deepsynth_operator.decisions.shared.obstacles import remember_obstacle
from deepsynth_operator.decisions.shared.usage import measure_usage, note_price, replace_usage
from deepsynth_operator.decisions.training_run.next_attempt.changes import get_first_attempt
from deepsynth_operator.decisions.training_run.next_attempt.elastic import choose_nodes
from deepsynth_operator.decisions.training_run.next_attempt.nodes import has_failed_again
from deepsynth_operator.manifests.names import build_job_name
from deepsynth_operator.manifests.train_job import DEFAULT_GRACE_SECONDS, count_gpus_per_node, count_nodes

MAX_KEPT_ATTEMPTS: Final = 10
MAX_RESTARTS: Final = 5
"""Of the pods of one Job: the Job controller doubles its delay each time a pod of the same index has ended."""
_CLOCK_TOLERANCE: Final = timedelta(seconds=5)
_LATE: Final = timedelta(seconds=120)
"""A Job that finished this long ago finished while the operator was down."""
_RESTARTED: Final[frozenset[AttemptOutcome | None]] = frozenset({"Disrupted", "Failed", "Hung"})
_ELSEWHERE: Final = frozenset({Reason.NODE_LOST, Reason.NOT_STARTED, Reason.JOB_DELETED, Reason.DEADLINE_EXCEEDED})
_COUNTED: Final[frozenset[AttemptOutcome]] = frozenset({"Failed", "Hung"})
"""Outcomes that count against spec.backoffLimit. A disruption does not."""


def get_last(status: TrainingRunStatus) -> Attempt | None:
    return status.attempts[-1] if status.attempts else None


def get_live(status: TrainingRunStatus) -> Attempt | None:
    """The attempt that is not over, if there is one. There is at most one."""
    last = get_last(status)
    return last if last is not None and last.end_time is None else None


def is_requeued(status: TrainingRunStatus) -> bool:
    """Whether a queue evicted the last attempt's Job and may admit it again.

    The outcome is checked too: the reason of a failure may be any word of a pod. A finished run that continues gets a
    new Job.
    """
    last = get_last(status)
    if last is None or is_before_continuation(status):
        return False
    return last.outcome == "Suspended" and last.reason == Reason.REQUEUED_BY_QUEUE


def is_before_continuation(status: TrainingRunStatus) -> bool:
    """Whether the last attempt is of before the finished run continued. It has ended, and no longer counts."""
    last = get_last(status)
    return last is not None and last.number < get_first_attempt(status)


def may_restart(status: TrainingRunStatus, job: ObservedJob) -> bool:
    """Whether the next attempt runs the same Job again: one that its queue has admitted keeps its place and its quota.

    Another Job where pods could not start, hang on a lost node, or failed on the same bad node twice: it gets other
    pods, maybe elsewhere. A rank that has succeeded would never run again.
    """
    last = status.attempts[-1]
    if last.end_time is None or is_before_continuation(status):
        return False
    if last.outcome not in _RESTARTED or last.reason in _ELSEWHERE or has_failed_again(status.attempts, job.name):
        return False
    ours = [attempt for attempt in status.attempts if attempt.job == job.name]
    # An attempt before one that started in place did not end its pods.
    restarts = sum((attempt.outcome in _RESTARTED) - bool(attempt.in_place) for attempt in ours)
    managed = job.was_admitted or job.suspended  # a label alone does not mean that there is a queue
    is_same_size = job.is_partial or last.nodes in {None, job.completions}
    usable = is_same_size and job.replaces_pods and managed and not job.deleting and not job.is_finished
    return usable and not job.completed_indexes and not job.is_failing and restarts <= MAX_RESTARTS


def replace_last(status: TrainingRunStatus, attempt: Attempt) -> TrainingRunStatus:
    return status.updated(attempts=[*status.attempts[:-1], attempt])


def select_pods(status: TrainingRunStatus, children: Children) -> list[ObservedPod]:
    """Pods of the last attempt. If two attempts share the Job: those of the time since it was last resumed.

    Just before that, the Job controller may have replaced a pod. It was deleted when the Job was suspended.
    """
    if not status.attempts:
        return []
    first = len(status.attempts) - 1 - count_in_place(status)  # the attempt that the pods were made for
    last = status.attempts[first]
    job = children.find_job(last.job)
    pods = [pod for pod in children.get_pods(last.job) if job is None or not _is_of_earlier_admission(pod, job)]
    if not any(attempt.job == last.job for attempt in status.attempts[:first]):
        return pods
    return [pod for pod in pods if not _is_older(pod, last.start_time)]


def count_in_place(status: TrainingRunStatus) -> int:
    """How many attempts in a row, up to the last one, started in the pods of the one before."""
    marks = [bool(attempt.in_place) for attempt in reversed(status.attempts[1:])]
    return [*marks, False].index(False)


def _is_of_earlier_admission(pod: ObservedPod, job: ObservedJob) -> bool:
    """Whether a queue took the Job back before the pod's container had started. That ended no attempt."""
    has_run = pod.started is not None or pod.exit_code is not None
    if not pod.gone or has_run or pod.created is None or job.started is None:
        return False
    return pod.created < job.started


def _is_older(pod: ObservedPod, start: datetime) -> bool:
    """Whether it was created long before the Job was resumed, or had ended or was to end by then."""
    created_before = pod.created is not None and pod.created < start - _CLOCK_TOLERANCE
    return created_before or any(time is not None and time <= start for time in (pod.deleted, pod.finished))


def start_attempt(status: TrainingRunStatus, attempt: Attempt) -> TrainingRunStatus:
    """Add the next attempt. Its number follows that of the last one, so none is ever used twice."""
    last = get_last(status)
    is_restart = last is not None and last.outcome in _RESTARTED and last.number >= get_first_attempt(status)
    progress = status.progress.updated(phase="", estimated_completion_time=None) if status.progress else None
    return status.updated(
        attempts=[*status.attempts, attempt][-MAX_KEPT_ATTEMPTS:],
        restarts=status.restarts + is_restart,
        progress=progress,
        output=None,
    )


def resume_job(status: TrainingRunStatus, job: ObservedJob, now: datetime) -> TrainingRunStatus:
    """Add an attempt that runs the same Job again, after the queue admitted it."""
    last = status.attempts[-1]
    attempt = Attempt(
        number=last.number + 1,
        start_time=job.started or now,
        job=job.name,
        job_uid=job.uid,
        image=last.image,
        nodes=job.completions if job.is_partial else last.nodes,
        gpus_per_node=last.gpus_per_node,
        avoided_nodes=last.avoided_nodes,
    )
    return start_attempt(status, attempt)


def build_attempt(
    run: TrainingRun, status: TrainingRunStatus, image: str, avoided_nodes: Sequence[str], now: datetime
) -> Attempt:
    """The next attempt of `run`, which gets a Job of its own."""
    last = get_last(status)
    number = last.number + 1 if last is not None else 1
    return Attempt(
        number=number,
        start_time=now,
        job=build_job_name(run, "train", number),
        image=image,
        nodes=choose_nodes(run, status, now),
        gpus_per_node=_count_gpus(run),
        avoided_nodes=list(avoided_nodes) or None,
    )


def observe_start(
    attempt: Attempt, job: ObservedJob | None, pods: Sequence[ObservedPod], num_nodes: int, now: datetime
) -> Attempt:
    """Record the Job's uid, when the first container started, when all pods had started, and what kept them from it."""
    started = [pod.started for pod in pods if pod.started is not None]
    all_started = len({pod.index for pod in pods if pod.started is not None}) >= num_nodes
    is_up = all_started or attempt.running_time is not None
    return attempt.updated(
        job_uid=attempt.job_uid or (job.uid if job else ""),
        held_time=attempt.held_time or min(started, default=None),
        running_time=attempt.running_time or (_find_running_time(pods, now) if all_started else None),
        obstacle="" if is_up else remember_obstacle(attempt.obstacle, pods, now),
    )


def _find_running_time(pods: Sequence[ObservedPod], now: datetime) -> datetime:
    """When all pods ran: the moment in which that is seen, or, if all have ended meanwhile, when the last one started.

    Not before a pod was created: the clock of its node may be behind.
    """
    if not all(pod.has_ended for pod in pods):
        return now
    return min(max(time for pod in pods for time in (pod.started, pod.created) if time is not None), now)


def follow_admission(attempt: Attempt, job: ObservedJob | None) -> Attempt:
    """`attempt` with as many pods as its queue has admitted. Once they have a workload document, the number stays."""
    is_admitted = job is not None and job.is_partial and not job.suspended and job.document_nodes is None
    return attempt.updated(nodes=job.completions) if job is not None and is_admitted else attempt


def find_end(attempt: Attempt, job: ObservedJob | None, now: datetime) -> datetime:
    """When an attempt ended whose end is seen now: when its Job finished, if that is long ago, else now.

    The operator was down then, and the GPUs were not held. Otherwise the moment in which it is seen counts, from which
    the delay of the next attempt is measured.
    """
    finished = job.finished if job is not None else None
    return now if finished is None or now < finished + _LATE else max(finished, attempt.start_time)


def drop_start(status: TrainingRunStatus) -> TrainingRunStatus:
    """`status` without what `observe_start` records of the last attempt, and without what describes it."""
    attempts = [*status.attempts[:-1], *(_drop_start(attempt) for attempt in status.attempts[-1:])]
    return status.updated(attempts=attempts, conditions=[], summary=RunSummary())


def _drop_start(attempt: Attempt) -> Attempt:
    return attempt.updated(job_uid="", held_time=None, running_time=None, cpus_per_node=None, price=None)


def end_attempt(status: TrainingRunStatus, attempt: Attempt, end: datetime) -> TrainingRunStatus:
    """End `attempt`, which has its outcome, and count it. An attempt ends once, so it counts once."""
    progressed = attempt.saved_step is not None or attempt.outcome == "Succeeded"
    # A suspension by a user or a queue says nothing about the run, so it does not count.
    fruitless = 0 if progressed else status.attempts_without_progress + (attempt.outcome != "Suspended")
    return replace_last(status, attempt.updated(end_time=end)).updated(
        failures=status.failures + (attempt.outcome in _COUNTED),
        attempts_without_progress=fruitless,
    )


def price_last(status: TrainingRunStatus, children: Children, prices: PriceTable) -> TrainingRunStatus:
    """`status` with what each pod of the live attempt requests and costs, once the first one has started."""
    live = get_live(status)
    if live is None or live.cpus_per_node is not None:
        return status
    noted = note_price(children.find_job(live.job), select_pods(status, children), prices)
    return status if noted is None else replace_last(status, live.updated(cpus_per_node=noted[0], price=noted[1]))


def account_usage(
    run: TrainingRun, status: TrainingRunStatus, pods: Sequence[ObservedPod], now: datetime
) -> TrainingRunStatus:
    """Count what the pods of the last attempt have used until now, or until its end, and the part of lost steps.

    Idempotent: the attempt's entry holds its share, so that a checkpoint seen late corrects the loss. As long as not
    all pods have run, only those that have a node count.
    """
    last = status.attempts[-1] if status.attempts else None
    if last is None or last.held_time is None:
        return status
    nodes, end = count_nodes(run, last), last.end_time or now
    seconds = nodes * _seconds(last.held_time, end)
    if last.running_time is None:
        spans = [_seconds(pod.started, min(pod.finished or end, end)) for pod in pods if pod.started is not None]
        seconds = min(seconds, sum(spans))
    lost = 0
    if last.end_time is not None and last.outcome != "Succeeded":
        lost = min(nodes * _seconds(max(last.saved_time or last.held_time, last.held_time), end), seconds)
    gpus = _count_gpus(run, last)
    measured = last.updated(
        gpu_seconds=max(sum_counts([gpus * seconds]), last.gpu_seconds),
        lost_gpu_seconds=sum_counts([gpus * lost]),
        **measure_usage(last.cpus_per_node, last.price, seconds, lost),
    )
    usage = replace_usage(status.usage, last, measured).updated(
        gpu_seconds=sum_counts([status.usage.gpu_seconds, -last.gpu_seconds, measured.gpu_seconds]),
        lost_gpu_seconds=sum_counts([status.usage.lost_gpu_seconds, -last.lost_gpu_seconds, measured.lost_gpu_seconds]),
    )
    return replace_last(status, measured).updated(usage=usage)


def _count_gpus(run: TrainingRun, attempt: Attempt | None = None) -> int:
    """GPUs of each pod: those of `attempt`, else what the spec says.

    0 if the spec has no valid number: such a run never gets a pod, and accounting must not stop it from failing.
    """
    if attempt is not None and attempt.gpus_per_node is not None:
        return attempt.gpus_per_node
    try:
        return count_gpus_per_node(run)
    except ConfigurationError:
        return 0


def describe_attempt(attempt: Attempt) -> str:
    """One line on how an attempt ended: `attempt 2 Failed: OutOfMemory (rank 3, node n1, exit code 137): ...`."""
    details = [
        f"rank {attempt.rank}" if attempt.rank is not None else "",
        f"node {attempt.node}" if attempt.node else "",
        f"exit code {attempt.exit_code}" if attempt.exit_code is not None else "",
    ]
    place = ", ".join(detail for detail in details if detail)
    where = f" ({place})" if place else ""
    message = f": {attempt.message}" if attempt.message else ""
    return f"attempt {attempt.number} {attempt.outcome}: {attempt.reason}{where}{message}"


def get_grace(run: TrainingRun) -> timedelta:
    """How long its pods may take to save after SIGTERM."""
    return timedelta(seconds=run.spec.template.termination_grace_period_seconds or DEFAULT_GRACE_SECONDS)


def _seconds(begin: datetime, end: datetime) -> int:
    return max(int((end - begin).total_seconds()), 0)
