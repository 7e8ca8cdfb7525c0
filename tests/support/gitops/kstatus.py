"""The status of a custom resource by the published rules of kstatus, which Flux, kpt and `kapply` wait for.

In this order: being deleted; a generation that the controller has not seen; Reconciling and Stalled, the first that is
True; Ready; and a resource without any of these counts as Current.
"""

from collections.abc import Mapping
from typing import Any, Literal

Verdict = Literal["InProgress", "Current", "Failed", "Terminating"]


def judge(resource: Mapping[str, Any]) -> Verdict:
    metadata, status = resource.get("metadata", {}), resource.get("status", {})
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if "generation" in metadata and status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    conditions = status.get("conditions", [])
    for condition in conditions:
        if condition["status"] == "True" and condition["type"] in {"Reconciling", "Stalled"}:
            return "InProgress" if condition["type"] == "Reconciling" else "Failed"
    ready = next((condition["status"] for condition in conditions if condition["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"
