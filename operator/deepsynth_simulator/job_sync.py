"""What the Job controller does with one Indexed Job: a pure decision, after syncJob in Kubernetes' pkg/controller/job.

It follows what DeepSynth's Jobs use: podFailurePolicy, backoffLimit and backoffLimitPerIndex, maxFailedIndexes,
podReplacementPolicy, suspend, activeDeadlineSeconds, FailureTarget before Failed, SuccessCriteriaMet before Complete,
and the job-tracking finalizer, by which each pod counts once. Completion mode NonIndexed is not implemented.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from deepsynth_api.delays import compute_delay
from deepsynth_operator.core.completion_indexes import format_indexes, parse_indexes
from deepsynth_operator.core.observed import Manifest, find_true_condition, parse_time
from deepsynth_simulator.object_store import format_time
from deepsynth_simulator.pod_failure_policy import judge_pod
from deepsynth_simulator.pod_fields import (
    FAILURE_COUNT_ANNOTATION,
    IGNORED_COUNT_ANNOTATION,
    TRACKING_FINALIZER,
    get_count,
    get_finish_time,
    get_index,
    is_deleting,
)

MAX_RETRY_DELAY: Final = timedelta(minutes=6)
NO_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class NewPod:
    """A pod to create, with the failures of its index so far. ignored: those that a policy rule did not count."""

    index: int
    failures: int = 0
    ignored: int = 0


@dataclass(slots=True)
class JobDecision:
    """What to do, in this order unless `suspends`: delete, write status, release, create."""

    status: dict[str, Any]
    delete: list[Manifest] = field(default_factory=list)
    release: list[Manifest] = field(default_factory=list)
    """Pods to remove the tracking finalizer from: they are counted, or will never be."""
    create: list[NewPod] = field(default_factory=list)
    suspends: bool = False
    """The Job is suspended: release before delete, as recorded on a real cluster."""
    recheck_at: datetime | None = None


def sync_job(job: Manifest, pods: list[Manifest], now: datetime, retry_delay: timedelta) -> JobDecision:
    """Decide for a Job that is not being deleted. pods: all its pods, in order of creation."""
    return _Sync(job, pods, now, retry_delay).decide()


class _Sync:
    """One decision in the making; `status` and `decision` are filled step by step."""

    def __init__(self, job: Manifest, pods: list[Manifest], now: datetime, retry_delay: timedelta) -> None:
        self.job, self.spec, self.pods, self.now = job, job["spec"], pods, now
        self.retry_delay = retry_delay
        self.decision = JobDecision(status=deepcopy(job.get("status", {})))
        self.status = self.decision.status
        self.completed = parse_indexes(self.status.get("completedIndexes", ""))
        self.failed = parse_indexes(self.status.get("failedIndexes", ""))
        self.per_index: int | None = self.spec.get("backoffLimitPerIndex")
        self.replaces_only_failed = self.spec.get("podReplacementPolicy") == "Failed" or "podFailurePolicy" in self.spec

    def decide(self) -> JobDecision:
        if find_true_condition(self.job, "Complete") or find_true_condition(self.job, "Failed"):
            self.decision.release = self._tracked(self.pods)
            return self.decision
        self._count_ended_pods()
        failure = self._find_failure()
        if failure:
            self._fail(*failure)
        elif self.spec.get("suspend", False):
            self._suspend()
        else:
            self._run()
        self._write_counts()
        return self.decision

    def _count_ended_pods(self) -> None:
        for pod in self._tracked(self.pods):
            if pod["status"]["phase"] == "Succeeded":
                self.completed.add(get_index(pod))
                self.decision.release.append(pod)
            elif self._is_failed(pod):
                self._count_failed(pod)

    def _count_failed(self, pod: Manifest) -> None:
        """With backoffLimitPerIndex, the last failed pod of an index carries its count, so it stays until replaced."""
        action = judge_pod(self.job, pod).action
        if self.per_index is not None:
            over = get_count(pod, FAILURE_COUNT_ANNOTATION) >= self.per_index and action == "Count"
            if over or action == "FailIndex":
                self.failed.add(get_index(pod))
            elif not self._is_replaced(pod):
                return
        if action != "Ignore":
            self.status["failed"] = self.status.get("failed", 0) + 1
        self.decision.release.append(pod)

    def _find_failure(self) -> tuple[str, str] | None:
        """Reason and message, once the Job cannot succeed anymore."""
        target = find_true_condition(self.job, "FailureTarget")
        if target:
            return target["reason"], target["message"]
        for pod in filter(self._is_failed, self.pods):
            judgement = judge_pod(self.job, pod)
            if judgement.action == "FailJob":
                return "PodFailurePolicy", judgement.message
        if self.status.get("failed", 0) > self.spec.get("backoffLimit", NO_LIMIT if self.per_index is not None else 6):
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        if self._is_past_deadline():
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        if self.failed and len(self.failed) > self.spec.get("maxFailedIndexes", NO_LIMIT):
            return "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
        if self.failed and len(self.failed | self.completed) >= self.spec["completions"]:
            return "FailedIndexes", "Job has failed indexes"
        return None

    def _is_past_deadline(self) -> bool:
        """Whether spec.activeDeadlineSeconds is over. It does not count while the Job is suspended."""
        due = self._find_deadline()
        is_exempt = self.spec.get("suspend", False) or find_true_condition(self.job, "SuccessCriteriaMet")
        return due is not None and self.now >= due and not is_exempt

    def _find_deadline(self) -> datetime | None:
        """None without one, and before the Job's startTime is written."""
        seconds, start = self.spec.get("activeDeadlineSeconds"), parse_time(self.status.get("startTime"))
        return None if seconds is None or start is None else start + timedelta(seconds=seconds)

    def _fail(self, reason: str, message: str) -> None:
        self._set_condition("FailureTarget", reason, message)
        self.decision.delete = self._active()
        self.decision.release = self._tracked(self.pods)
        if not self._unfinished():
            self._set_condition("Failed", reason, message)

    def _suspend(self) -> None:
        self.decision.suspends = True
        self.decision.delete = self._active()
        self.decision.release = self._tracked(self.pods)
        self.status.pop("startTime", None)
        self._set_condition("Suspended", "JobSuspended", "Job suspended")

    def _run(self) -> None:
        self._resume()
        if len(self.completed) >= self.spec["completions"]:
            self._complete()
            return
        allowed = self.spec.get("parallelism", 1) - len(self._active()) - len(self._blocking())
        if allowed < 0:
            surplus = sorted(self._active(), key=get_index)[allowed:]
            self.decision.delete = surplus
            self.decision.release += self._tracked(surplus)
        for index in self._find_missing():
            if len(self.decision.create) >= max(allowed, 0):
                break
            self._replace(index)

    def _resume(self) -> None:
        if "startTime" not in self.status:
            self.status["startTime"] = format_time(self.now)
        if find_true_condition(self.job, "Suspended"):
            self._set_condition("Suspended", "JobResumed", "Job resumed", status="False")
        self.decision.recheck_at = self._find_deadline()

    def _complete(self) -> None:
        reason, message = "CompletionsReached", "Reached expected number of succeeded pods"
        self._set_condition("SuccessCriteriaMet", reason, message)
        self.decision.delete = self._active()
        self.decision.release = self._tracked(self.pods)
        if not self._unfinished():
            self._set_condition("Complete", reason, message)
            self.status["completionTime"] = format_time(self.now)

    def _find_missing(self) -> Iterable[int]:
        busy = {get_index(pod) for pod in self._active() + self._blocking()}
        return (
            index
            for index in range(self.spec["completions"])
            if index not in busy and index not in self.completed and index not in self.failed
        )

    def _replace(self, index: int) -> None:
        """Create a pod for an index; after a failure only when its retry delay is over."""
        failed = [pod for pod in self.pods if get_index(pod) == index and self._is_failed(pod)]
        if not failed:
            self.decision.create.append(NewPod(index))
            return
        due = self._find_due_time(failed[-1])
        if due > self.now:
            self.decision.recheck_at = min(due, self.decision.recheck_at or due)
            return
        self.decision.create.append(self._count_on(failed[-1], index))

    def _is_replaced(self, pod: Manifest) -> bool:
        newest = [item for item in self.pods if get_index(item) == get_index(pod)][-1]
        return bool(newest["metadata"]["uid"] != pod["metadata"]["uid"])

    def _count_on(self, pod: Manifest, index: int) -> NewPod:
        ignored = judge_pod(self.job, pod).action == "Ignore"
        return NewPod(
            index,
            failures=get_count(pod, FAILURE_COUNT_ANNOTATION) + (not ignored),
            ignored=get_count(pod, IGNORED_COUNT_ANNOTATION) + ignored,
        )

    def _find_due_time(self, pod: Manifest) -> datetime:
        tries = get_count(pod, FAILURE_COUNT_ANNOTATION) + get_count(pod, IGNORED_COUNT_ANNOTATION)
        first, longest = self.retry_delay.total_seconds(), MAX_RETRY_DELAY.total_seconds()
        return get_finish_time(pod) + timedelta(seconds=compute_delay(tries + 1, first=first, longest=longest))

    def _write_counts(self) -> None:
        deleted = {pod["metadata"]["uid"] for pod in self.decision.delete}
        active = [pod for pod in self._active() if pod["metadata"]["uid"] not in deleted]
        self.status.update(
            active=len(active) + len(self.decision.create),
            ready=sum(find_true_condition(pod, "Ready") is not None for pod in active),
            terminating=len(self._unfinished()) - len(active),
            succeeded=len(self.completed),
            completedIndexes=format_indexes(self.completed),
        )
        if self.per_index is not None:
            self.status["failedIndexes"] = format_indexes(self.failed)

    def _set_condition(self, kind: str, reason: str, message: str, status: str = "True") -> None:
        conditions = self.status.setdefault("conditions", [])
        if any(item["type"] == kind and item["status"] == status for item in conditions):
            return
        conditions[:] = [item for item in conditions if item["type"] != kind]
        time = format_time(self.now)
        conditions.append(
            {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time}
        )

    def _is_failed(self, pod: Manifest) -> bool:
        phase = pod["status"]["phase"]
        return phase == "Failed" or (not self.replaces_only_failed and is_deleting(pod) and phase != "Succeeded")

    def _active(self) -> list[Manifest]:
        return [pod for pod in self._unfinished() if not is_deleting(pod)]

    def _blocking(self) -> list[Manifest]:
        """Terminating pods that must be gone before their replacement is created."""
        return [pod for pod in self._unfinished() if is_deleting(pod) and self.replaces_only_failed]

    def _unfinished(self) -> list[Manifest]:
        return [pod for pod in self.pods if pod["status"]["phase"] not in {"Succeeded", "Failed"}]

    @staticmethod
    def _tracked(pods: Iterable[Manifest]) -> list[Manifest]:
        return [pod for pod in pods if TRACKING_FINALIZER in pod["metadata"].get("finalizers", ())]
