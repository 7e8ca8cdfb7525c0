"""Labels and annotations on children. Users' own objects get none."""

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
"""An annotation, because a resource's name may be longer than a label."""
STEP: Final = f"{GROUP}/step"
ATTEMPT: Final = f"{GROUP}/attempt"

QUEUE_NAME: Final = "kueue.x-k8s.io/queue-name"
QUEUE_PRIORITY_CLASS: Final = "kueue.x-k8s.io/priority-class"
CARRIED_LABELS: Final = (QUEUE_NAME, QUEUE_PRIORITY_CLASS)
"""Labels that go from the resource to its Jobs: Kueue queues the Jobs."""


def build_labels(resource: Resource, step: str) -> dict[str, str]:
    """Labels of every child of `resource` that does `step` (plan, render, publish or train)."""
    carried: dict[str, str] = {
        key: resource.metadata.labels[key] for key in CARRIED_LABELS if key in resource.metadata.labels
    }
    return {
        MANAGED_BY: OPERATOR_NAME,
        PART_OF: "deepsynth",
        COMPONENT: step,
        OWNER_UID: resource.metadata.uid,
        OWNER_KIND: resource.kind,
        STEP: step,
        **carried,
    }


def owner_selector(uid: str) -> dict[str, str]:
    """Labels that select the children of the resource with this uid."""
    return {MANAGED_BY: OPERATOR_NAME, OWNER_UID: uid}
