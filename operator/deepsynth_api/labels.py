"""Labels and annotations of the children. The operator puts none on objects of users."""

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

QUEUE_NAME: Final = "kueue.x-k8s.io/queue-name"
QUEUE_PRIORITY_CLASS: Final = "kueue.x-k8s.io/priority-class"
CARRIED_LABELS: Final = (QUEUE_NAME, QUEUE_PRIORITY_CLASS)
"""Labels that are copied from a resource to its Jobs, because Kueue queues Jobs."""


def build_labels(resource: Resource, step: str) -> dict[str, str]:
    """Labels of a child of `resource` for one step: plan, render, publish or train."""
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
