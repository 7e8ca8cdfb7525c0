"""What a pod waits for before its containers start, in the words of the kubelet and the scheduler."""

from deepsynth_client.interface import Manifest


def find_obstacle(status: Manifest) -> str:
    """Of a pod's status; empty if it says nothing."""
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    waits = [(item.get("state") or {}).get("waiting") or {} for item in containers]
    reasons = [": ".join(filter(None, (wait["reason"], wait.get("message")))) for wait in waits if wait.get("reason")]
    conditions = [item.get("message") for item in status.get("conditions") or [] if item.get("status") == "False"]
    return "; ".join(dict.fromkeys(reasons or filter(None, conditions)))
