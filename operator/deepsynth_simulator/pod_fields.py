"""Fields of a pod that the Job controller and the kubelet read and write, under the names of Kubernetes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Manifest
from deepsynth_simulator.object_store import compute_deletion_time

CONTROLLER_UID_LABEL: Final = "batch.kubernetes.io/controller-uid"
"""uid of the pod's Job."""
TRACKING_FINALIZER: Final = "batch.kubernetes.io/job-tracking"
"""On every pod that its Job has not counted yet."""
FAILURE_COUNT_ANNOTATION: Final = "batch.kubernetes.io/job-index-failure-count"
IGNORED_COUNT_ANNOTATION: Final = "batch.kubernetes.io/job-index-ignored-failure-count"


def is_deleting(manifest: Manifest) -> bool:
    return "deletionTimestamp" in manifest["metadata"]


def get_index(pod: Manifest) -> int:
    return int(pod["metadata"]["annotations"][COMPLETION_INDEX_ANNOTATION])


def get_count(pod: Manifest, annotation: str) -> int:
    return int(pod["metadata"]["annotations"].get(annotation, "0"))


def get_finish_time(pod: Manifest) -> datetime:
    """When a pod ended: its container's finishedAt, else its deletion, else its creation."""
    statuses = pod["status"].get("containerStatuses") or [{}]
    finished = statuses[0].get("state", {}).get("terminated", {}).get("finishedAt")
    if not finished and is_deleting(pod):
        return compute_deletion_time(pod)
    return datetime.fromisoformat(finished or pod["metadata"]["creationTimestamp"])


def set_pod_condition(pod: dict[str, Any], condition: Mapping[str, Any]) -> None:
    """Add a condition to status.conditions, or replace the one of its type."""
    conditions = pod["status"].setdefault("conditions", [])
    conditions[:] = [item for item in conditions if item["type"] != condition["type"]] + [dict(condition)]
