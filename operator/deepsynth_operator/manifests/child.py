"""What all children share: their metadata, and the ConfigMap with the Job's workload document."""

from datetime import datetime
from typing import Any

from deepsynth_api.labels import DEADLINE_ANNOTATION, OWNER_NAME_ANNOTATION, build_labels, select_carried
from deepsynth_api.v1alpha1 import Resource, TrainingRun
from deepsynth_api.workload import Workload
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.manifests.volumes import DOCUMENT_KEY


def build_metadata(resource: Resource, step: str, name: str) -> dict[str, Any]:
    """Labels that select the child, and the owner reference by which it is deleted together with its resource."""
    return {
        "name": name,
        "namespace": resource.metadata.namespace,
        "labels": {**resource.spec.template.labels, **build_labels(resource, step)},
        "annotations": {**select_carried(resource.metadata.annotations), OWNER_NAME_ANNOTATION: resource.metadata.name},
        "ownerReferences": [
            {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "name": resource.metadata.name,
                "uid": resource.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def get_active_since(resource: Resource) -> datetime | None:
    """What spec.activeDeadlineSeconds counts from: the start, or when a finished run last continued."""
    continued = resource.status.continued_time if isinstance(resource, TrainingRun) else None
    return continued or resource.status.start_time


def compute_job_deadline(resource: Resource, began: datetime | None, start: datetime) -> int | None:
    """What is left of spec.activeDeadlineSeconds for a Job that starts at `start`; None without a deadline.

    The controller ends the resource at its deadline; the Job has it too, so that it also ends while the controller is
    down. The Job counts from when it is created or released by its queue, so never too early.
    began: what the deadline of the resource counts from.
    """
    seconds = resource.spec.active_deadline_seconds
    return None if seconds is None else max(seconds - int((start - (began or start)).total_seconds()), 1)


def add_deadline(job: Manifest, resource: Resource, start: datetime) -> dict[str, Any]:
    """`job` with the deadline of its resource."""
    seconds = compute_job_deadline(resource, get_active_since(resource), start)
    if seconds is None:
        return dict(job)
    annotations = {**job["metadata"]["annotations"], DEADLINE_ANNOTATION: str(seconds)}
    metadata = {**job["metadata"], "annotations": annotations}
    return {**job, "metadata": metadata, "spec": {**job["spec"], "activeDeadlineSeconds": seconds}}


def build_config_map(
    resource: Resource, step: str, job: str, document: Workload, *, is_immutable: bool = True
) -> dict[str, Any]:
    """Immutable, because a running pod must not see its document change.

    A kubelet reads an immutable one only once, so one that may be deleted and created again must not be immutable.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": build_metadata(resource, step, job),
        "immutable": is_immutable,
        "data": {DOCUMENT_KEY: document.to_json()},
    }
