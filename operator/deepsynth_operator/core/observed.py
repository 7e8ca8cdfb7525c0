"""What the controller saw of one resource and its children, as frozen values.

    ObservedRun | ObservedGeneration
      children: Children
        jobs: ObservedJob ...
        pods: ObservedPod ...

A decision depends on this, the settings and the time, on nothing else. This module only parses; `controller.gather`
reads from the cluster.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from deepsynth_api.labels import (
    DEADLINE_ANNOTATION,
    DOCUMENT_ANNOTATION,
    DOCUMENT_TIME_ANNOTATION,
    MIN_PARALLELISM,
    OWNER_UID,
    QUEUE_JOB_ANNOTATION,
    QUEUE_NAME,
    QUEUE_PODSET,
    RESTART_ANNOTATION,
    STEP,
    STOPPING_ANNOTATION,
    select_carried,
)
from deepsynth_api.report import Report, parse_report
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_operator.core.queue_wait import QueueWait

JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
JOB_UID_LABEL = "batch.kubernetes.io/controller-uid"
"""Of pods: the uid of their Job."""
COMPLETION_INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
_MAX_DOCUMENT_DELAY = timedelta(hours=1)
"""How long after its admission a Job may get its workload document, at most."""

Manifest = Mapping[str, Any]
"""An object of the Kubernetes API as a dict, as it comes over the wire. Read-only."""


def parse_time(value: str | None) -> datetime | None:
    """RFC 3339 as the API server writes it. None for None, for a year above 9999, and for what has no time zone."""
    try:
        time = datetime.fromisoformat(value) if value else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


def find_true_condition(manifest: Manifest, kind: str) -> Manifest | None:
    """The condition of this type in status.conditions, if it is True."""
    conditions = manifest.get("status", {}).get("conditions") or []
    return next((item for item in conditions if item["type"] == kind and item["status"] == "True"), None)


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """One pod of a Job. A pod that is `gone` is known from its DELETED event."""

    name: str
    uid: str
    job: str
    """Name of its Job."""
    index: int
    """Completion index: the node rank of training, the shard of rendering."""
    phase: str
    """Pending, Running, Succeeded, Failed or Unknown."""
    phase_reason: str = ""
    """status.reason, such as UnexpectedAdmissionError or OutOfcpu, of a pod whose container never ran."""
    created: datetime | None = None
    started: datetime | None = None
    """When its container started."""
    deletion: datetime | None = None
    """metadata.deletionTimestamp: when its grace period ends."""
    deleted: datetime | None = None
    """When its deletion was asked for."""
    node: str | None = None
    node_ready: bool | None = None
    """None if it was not read (it is read only when a pod does not terminate) or must not be read."""
    disruption: str | None = None
    """Reason of the condition DisruptionTarget=True, such as EvictionByEvictionAPI."""
    disruption_message: str = ""
    scheduled: datetime | None = None
    """When it was assigned to a node. From then on it holds the node's GPUs."""
    unschedulable: str | None = None
    """Message of the condition PodScheduled=False."""
    waiting_reason: str | None = None
    """Reason of the waiting container, such as ImagePullBackOff."""
    waiting_message: str = ""
    exit_code: int | None = None
    """Set once the container has ended."""
    exit_reason: str = ""
    """Such as Error, Completed or OOMKilled."""
    finished: datetime | None = None
    """When the container ended."""
    message: str = ""
    """Termination message, unless it is a report."""
    report: Report | None = None
    """The final report once the container has ended, before that the live one if it could be read."""
    gone: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether its container is finished."""
        return self.exit_code is not None or self.is_final

    @property
    def is_at_work(self) -> bool:
        """Whether its container runs, as far as the controller knows."""
        return self.started is not None and not self.has_ended

    @property
    def is_final(self) -> bool:
        """Whether its Job counts it. The kubelet reports the container's end first, and may die before the pod's."""
        return self.gone or self.phase in {"Succeeded", "Failed"}

    @classmethod
    def parse(cls, pod: Manifest, *, gone: bool = False) -> Self:
        """Parse a pod's manifest. The live report and the state of the node are not in it; see `gather`."""
        metadata, status = pod["metadata"], pod.get("status", {})
        state = _get_container_state(pod)
        waiting, ended = state.get("waiting", {}), state.get("terminated", {})
        disruption = find_true_condition(pod, "DisruptionTarget") or {}
        message = ended.get("message", "")
        final = parse_report(message) if message else None
        deletion = parse_time(metadata.get("deletionTimestamp"))
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            job=metadata.get("labels", {}).get(JOB_NAME_LABEL, ""),
            index=_parse_index(metadata.get("annotations", {}).get(COMPLETION_INDEX_ANNOTATION, "")),
            phase=status.get("phase", "Pending"),
            phase_reason=status.get("reason", ""),
            created=parse_time(metadata.get("creationTimestamp")),
            started=parse_time((ended or state.get("running", {})).get("startedAt")),
            deletion=deletion,
            deleted=deletion and deletion - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0),
            node=pod.get("spec", {}).get("nodeName"),
            disruption=disruption.get("reason"),
            disruption_message=disruption.get("message", ""),
            scheduled=_find_scheduling_time(pod),
            unschedulable=_find_scheduling_message(status),
            waiting_reason=waiting.get("reason"),
            waiting_message=waiting.get("message", ""),
            exit_code=ended.get("exitCode"),
            exit_reason=ended.get("reason", ""),
            finished=parse_time(ended.get("finishedAt")),
            message="" if final else message,
            report=final,
            gone=gone,
        )


def _parse_index(text: str) -> int:
    """0 if it is not an index: a user who may patch pods must not be able to break a decision."""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0


def _get_container_state(pod: Manifest) -> Manifest:
    """State of our own container, which has the step's name. A service mesh may have injected others."""
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    step = pod["metadata"].get("labels", {}).get(STEP)
    ours = next((status for status in statuses if status.get("name") == step), statuses[0])
    state: Manifest = ours.get("state", {})
    return state


def _find_scheduling_time(pod: Manifest) -> datetime | None:
    if "nodeName" not in pod.get("spec", {}):
        return None
    condition = find_true_condition(pod, "PodScheduled") or {}
    return parse_time(condition.get("lastTransitionTime") or pod["metadata"].get("creationTimestamp"))


def _find_scheduling_message(status: Manifest) -> str | None:
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _drop_repetition(str(condition.get("message", "")))
    return None


def _drop_repetition(message: str) -> str:
    """The scheduler ends with the words of its last step, which may repeat: ...claim "a" not found. not found."""
    text = message.removesuffix(".")
    head, _, last = text.rpartition(". ")
    return head if head.endswith(f" {last}") else message


@dataclass(frozen=True, slots=True)
class PodRequest:
    """What each pod of a Job asks for: what its price depends on."""

    requests: Mapping[str, int | str] = field(default_factory=dict)
    """Quantities by resource, of our own container."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels of the nodes that it may run on: of the spec, of the defaults for Jobs, and of a queue's flavor."""

    @classmethod
    def parse(cls, job: Manifest) -> Self:
        spec = job["spec"].get("template", {}).get("spec", {})
        containers: list[Manifest] = spec.get("containers") or [{}]
        resources = containers[0].get("resources", {})
        # As in Kubernetes, a limit without a request is a request.
        requests = {**resources.get("limits", {}), **resources.get("requests", {})}
        return cls(requests, spec.get("nodeSelector") or {})


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """One Job of the resource."""

    name: str
    uid: str
    step: str
    """plan, render, publish or train."""
    created: datetime | None = None
    queue_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that were carried from the resource: its queue, its priority class."""
    suspended: bool = False
    """spec.suspend. A queue sets it, and so does the controller, to restart the pods of a Job that a queue resumes."""
    was_admitted: bool = False
    """Whether a queue has admitted it: such a Job is resumed as long as it has its quota."""
    replaces_pods: bool = False
    """Whether the Job controller replaces a pod that has ended, because the Job is in a queue. Else the Job fails."""
    is_partial: bool = False
    """Whether its queue may admit it with fewer pods. It gets its workload document only then."""
    document_nodes: int | None = None
    """The number of nodes in the workload document of such a Job; None while it has none."""
    document_time: datetime | None = None
    """When it got that document."""
    wait: QueueWait | None = None
    """Why its queue holds it, if that could be read."""
    is_held: bool = False
    """Whether the controller has suspended it and its queue does not resume it yet."""
    restarted_after: int | None = None
    """The last attempt after which the controller has suspended it, to restart its pods."""
    started: datetime | None = None
    """status.startTime: when it was last unsuspended."""
    deadline_seconds: int | None = None
    """spec.activeDeadlineSeconds."""
    has_own_deadline: bool = False
    """Whether the controller has set this deadline, and not an admission policy."""
    parallelism: int = 1
    completions: int = 1
    completed_indexes: str = ""
    """In the Job's notation: 1,3-5,7."""
    failed_indexes: str = ""
    active: int = 0
    ready: int = 0
    succeeded: int = 0
    queue_job: str | None = None
    """The Job in a queue whose quota its pods use, if it has none of its own."""
    is_complete: bool = False
    is_failed: bool = False
    is_failing: bool = False
    """Condition FailureTarget: it has failed, but some of its pods still run or terminate."""
    failure_reason: str = ""
    failure_message: str = ""
    finished: datetime | None = None
    """When it became Complete or Failed."""
    deleting: bool = False
    pod: PodRequest = PodRequest()

    @property
    def is_finished(self) -> bool:
        return self.is_complete or self.is_failed

    @property
    def could_start(self) -> datetime | None:
        """Since when its pods may start: it is not suspended, and has its workload document."""
        if not self.is_partial or self.started is None:
            return self.started
        if self.document_time is None:
            return None
        # A user may change the annotation that holds it, and a limit must end a start nevertheless.
        return min(max(self.started, self.document_time), self.started + _MAX_DOCUMENT_DELAY)

    @property
    def is_queued(self) -> bool:
        """Whether it names a queue."""
        return QUEUE_NAME in self.queue_labels

    @classmethod
    def parse(cls, job: Manifest) -> Self:
        metadata, spec, status = job["metadata"], job["spec"], job.get("status", {})
        complete, failed = find_true_condition(job, "Complete"), find_true_condition(job, "Failed")
        failure = failed or find_true_condition(job, "FailureTarget") or {}
        annotations = metadata.get("annotations", {})
        restart, nodes = (annotations.get(key, "")[:9] for key in (RESTART_ANNOTATION, DOCUMENT_ANNOTATION))
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            step=metadata.get("labels", {}).get(STEP, ""),
            created=parse_time(metadata.get("creationTimestamp")),
            queue_labels=select_carried(metadata.get("labels", {})),
            suspended=bool(spec.get("suspend", False)),
            was_admitted=QUEUE_PODSET in spec.get("template", {}).get("metadata", {}).get("labels", {}),
            replaces_pods="backoffLimitPerIndex" in spec,
            is_partial=MIN_PARALLELISM in annotations,
            document_nodes=int(nodes) if nodes.isdecimal() else None,
            document_time=parse_time(annotations.get(DOCUMENT_TIME_ANNOTATION)),
            is_held=annotations.get(STOPPING_ANNOTATION) == "true",
            restarted_after=int(restart) if restart.isdecimal() else None,
            started=parse_time(status.get("startTime")),
            deadline_seconds=spec.get("activeDeadlineSeconds"),
            has_own_deadline=annotations.get(DEADLINE_ANNOTATION) == str(spec.get("activeDeadlineSeconds")),
            parallelism=spec.get("parallelism", 1),
            completions=spec.get("completions", 1),
            completed_indexes=status.get("completedIndexes", ""),
            failed_indexes=status.get("failedIndexes", ""),
            active=status.get("active", 0),
            ready=status.get("ready", 0),
            queue_job=annotations.get(QUEUE_JOB_ANNOTATION),
            succeeded=status.get("succeeded", 0),
            is_complete=complete is not None,
            is_failed=failed is not None,
            is_failing=bool(failure),
            failure_reason=failure.get("reason", ""),
            failure_message=failure.get("message", ""),
            finished=parse_time((complete or failed or {}).get("lastTransitionTime")),
            deleting="deletionTimestamp" in metadata,
            pod=PodRequest.parse(job),
        )


@dataclass(frozen=True, slots=True)
class Children:
    """Jobs and pods of one resource."""

    jobs: tuple[ObservedJob, ...] = ()
    """From the cache, or from the API server where the cache is no proof: see `controller.gather`."""
    pods: tuple[ObservedPod, ...] = ()

    def find_job(self, name: str) -> ObservedJob | None:
        return next((job for job in self.jobs if job.name == name), None)

    def get_pods(self, job: str) -> list[ObservedPod]:
        """Pods of the Job with this name, ordered by index."""
        return sorted((pod for pod in self.pods if pod.job == job), key=lambda pod: pod.index)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the newest children in the status could not be created. Another try would be refused too.

    is_temporary: another try may succeed, without a change of the resource.
    """

    reason: str
    message: str
    exit_code: int | None = None
    """BAD_CONFIGURATION if the spec itself is wrong."""
    is_temporary: bool = False


@dataclass(frozen=True, slots=True)
class ObservedGeneration:
    generation: DatasetGeneration
    children: Children = Children()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class ObservedRun:
    run: TrainingRun
    children: Children = Children()
    generations: Mapping[str, DatasetGeneration] = field(default_factory=dict)
    """The DatasetGenerations that spec.datasets refers to, by name, without those that do not exist."""
    model_run: TrainingRun | None = None
    """The TrainingRun that spec.model.trainingRunRef refers to; None if it does not exist."""
    refusal: Refusal | None = None


def is_owned_by(manifest: Manifest, uid: str) -> bool:
    """Whether a child carries the label of the owner with this uid."""
    return bool(manifest["metadata"].get("labels", {}).get(OWNER_UID) == uid)
