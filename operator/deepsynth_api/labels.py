"""Labels and annotations of the children. The operator puts none on objects of users."""

from collections.abc import Mapping
from typing import Final

from deepsynth_api.kinds import GROUP
from deepsynth_api.v1alpha1 import Resource

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
COMPONENT: Final = "app.kubernetes.io/component"
PART_OF: Final = "app.kubernetes.io/part-of"
OPERATOR_NAME: Final = "deepsynth-operator"

OWNER_UID: Final = f"{GROUP}/owner-uid"
OWNER_KIND: Final = f"{GROUP}/owner-kind"
OWNER_NAME_ANNOTATION: Final = f"{GROUP}/owner-name"
"""An annotation, because the name of a resource can be longer than the value of a label."""
STEP: Final = f"{GROUP}/step"
ATTEMPT: Final = f"{GROUP}/attempt"

KUEUE: Final = "kueue.x-k8s.io/"
PROVISIONING: Final = "provreq.kueue.x-k8s.io/"
QUEUE_NAME: Final = f"{KUEUE}queue-name"
QUEUE_PRIORITY_CLASS: Final = f"{KUEUE}priority-class"
QUEUE_PODSET: Final = f"{KUEUE}podset"
"""A label that Kueue adds to the pod template of a Job when it admits it."""
QUEUE_JOB_UID: Final = f"{KUEUE}job-uid"
"""A label of Kueue's Workloads: the uid of the Job."""
QUEUE_JOB_ANNOTATION: Final = f"{GROUP}/queue-job"
"""On the Job of a step: the Job in the queue whose quota its pods use."""
STOPPING_ANNOTATION: Final = f"{KUEUE}stopping"
"""On a suspended Job: "true" while its suspension is not done. Until then Kueue does not resume it."""
DEADLINE_ANNOTATION: Final = f"{GROUP}/active-deadline-seconds"
"""On a Job: the activeDeadlineSeconds that the operator gave it. It may have another one from an admission policy."""
RESTART_ANNOTATION: Final = f"{GROUP}/restart-after-attempt"
"""On a Job whose pods are restarted: the number of the attempt that had ended."""
MIN_PARALLELISM: Final = f"{KUEUE}job-min-parallelism"
"""On a Job that its queue may admit with fewer pods: the smallest number of them."""
EQUAL_COMPLETIONS: Final = f"{KUEUE}job-completions-equal-parallelism"
"""On the same Job: "true", so that Kueue changes its completions too."""
DOCUMENT_ANNOTATION: Final = f"{GROUP}/document-nodes"
"""On the same Job, while it has a workload document: the number of nodes in it."""
DOCUMENT_TIME_ANNOTATION: Final = f"{GROUP}/document-time"
"""On the same Job: when it got this document."""
_OF_ONE_JOB: Final = frozenset(
    f"{KUEUE}{name}"
    for name in (
        "prebuilt-workload-name",
        "elastic-job",
        "job-min-parallelism",
        "job-completions-equal-parallelism",
        "stopping",
        "podset",
    )
)
"""Not carried. A Workload belongs to one Job, a resource has several; the number of a Job's pods is the operator's: the
workload document names it; and the rest are marks of a Job that Kueue has admitted or stops."""


def select_carried(labels_or_annotations: Mapping[str, str]) -> dict[str, str]:
    """What is copied from a resource to its Jobs, because Kueue queues Jobs: its queue, its priority class."""
    return {
        key: value
        for key, value in labels_or_annotations.items()
        if key.startswith((KUEUE, PROVISIONING)) and key not in _OF_ONE_JOB
    }


def select_for_pods(annotations: Mapping[str, str]) -> dict[str, str]:
    """What is copied from a resource to its pods, because Kueue reads it there: where the pods of a set may be."""
    return {key: value for key, value in annotations.items() if key.startswith(f"{QUEUE_PODSET}-")}


def build_labels(resource: Resource, step: str) -> dict[str, str]:
    """Labels of a child of `resource` for one step: plan, render, publish or train."""
    return {
        MANAGED_BY: OPERATOR_NAME,
        PART_OF: "deepsynth",
        COMPONENT: step,
        OWNER_UID: resource.metadata.uid,
        OWNER_KIND: resource.kind,
        STEP: step,
        **select_carried(resource.metadata.labels),
    }


def owner_selector(uid: str) -> dict[str, str]:
    """Labels that select the children of the resource with this uid."""
    return {MANAGED_BY: OPERATOR_NAME, OWNER_UID: uid}
