"""Why there is no further Job: the policies in the order of `policies.py`; and status.lastFailure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1.dataset_generation_status import LastFailure
from deepsynth_operator.core.observed import ObservedPod
from deepsynth_operator.decisions.dataset_generation.jobs import MAX_JOBS_WITHOUT_PROGRESS, list_tries
from deepsynth_operator.decisions.dataset_generation.view import GenerationView
from deepsynth_operator.decisions.shared.decision import MAX_ENTRY_MESSAGE, Verdict
from deepsynth_operator.decisions.shared.ends import find_deadline_verdict
from deepsynth_operator.decisions.shared.pods import describe_exit, is_failure, name_exit

MAX_LOST_REPORTS: Final = 3


def exceeded_deadline(view: GenerationView) -> Verdict | None:
    return find_deadline_verdict(view.generation, view.status.start_time, view.now)


def failed_job(view: GenerationView) -> Verdict | None:
    """The end of the last Job in the words of the pod that failed last, if one is known."""
    last, progress, failure = view.last, view.status.progress, view.status.last_failure
    if last is None or last.outcome != "Failed":
        return None
    known = failure if failure is not None and failure.step == last.step else None
    cause = f"{known.reason}: {known.message}" if known else last.message
    if last.step == "render" and last.reason in {Reason.FAILED_INDEXES, Reason.MAX_FAILED_INDEXES_EXCEEDED}:
        shards = progress.failed_indexes if progress else ""
        return Verdict(Reason.SHARDS_FAILED, f"shards {shards} failed, nothing is published; last: {cause}")
    return Verdict(known.reason if known else last.reason, f"{last.step} failed: {cause}")


def lost_reports(view: GenerationView) -> Verdict | None:
    jobs = list_tries(view.status)[-MAX_LOST_REPORTS:]
    if len(jobs) < MAX_LOST_REPORTS or any(job.reason != Reason.REPORT_LOST for job in jobs):
        return None
    remedy = "use an image of the operator's own version"
    return Verdict(Reason.REPORT_LOST, f"{MAX_LOST_REPORTS} Jobs in a row succeeded without a report; {remedy}")


def no_progress(view: GenerationView) -> Verdict | None:
    jobs = list_tries(view.status)[-MAX_JOBS_WITHOUT_PROGRESS:]
    if len(jobs) < MAX_JOBS_WITHOUT_PROGRESS or any(job.outcome != "Disrupted" for job in jobs):
        return None
    if jobs[0].shards_done != jobs[-1].shards_done:
        return None
    last = jobs[-1]
    return Verdict(
        Reason.NO_PROGRESS, f"{len(jobs)} Jobs in a row ended without progress; {last.reason}: {last.message}"
    )


def no_rows(view: GenerationView) -> Verdict | None:
    plan = view.status.plan
    if plan is None or plan.shards > 0:
        return None
    return Verdict(Reason.NO_ROWS, "the plan has no document to render; see progress.dropped and spec.filters")


def find_last_failure(
    old: LastFailure | None, step: str, pods: Iterable[ObservedPod], now: datetime
) -> LastFailure | None:
    """status.lastFailure: the newest of `old` and what these pods of `step` ended with.

    It is kept in the status because the Job controller deletes pods.
    """
    failed = [pod for pod in pods if is_failure(pod) and pod.disruption is None]
    newest = max(failed, key=lambda pod: (_get_end(pod, now), pod.index), default=None)
    if newest is None or (old is not None and _get_end(newest, now) <= old.time):
        return old
    failure = newest.report.failure if newest.report else None
    return LastFailure(
        time=_get_end(newest, now),
        step=step,
        index=newest.index if step == "render" else None,
        reason=(failure.reason if failure else "") or name_exit(newest),
        message=(failure.message if failure else describe_exit(newest))[:MAX_ENTRY_MESSAGE],
        exit_code=newest.exit_code,
        node=newest.node,
    )


def _get_end(pod: ObservedPod, now: datetime) -> datetime:
    """A kubelet that lost its container (ContainerStatusUnknown) does not say when. Never a time that keeps moving."""
    return pod.finished or pod.created or now
