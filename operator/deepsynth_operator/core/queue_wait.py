"""Why a queue holds a Job, from the conditions of Kueue's Workload: quota, a queue that is missing or stopped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from deepsynth_api.reasons import Reason

_MAX_MESSAGE: Final = 512
_MISSING: Final = "Kueue has no Workload for it; see the Events of the Job, and whether its priority class exists"
_MARKS: Final = (
    ("doesn't exist", Reason.QUEUE_NOT_FOUND),
    ("stopped", Reason.QUEUE_STOPPED),
    ("inactive", Reason.QUEUE_STOPPED),
    ("quota", Reason.QUOTA_EXCEEDED),
)
"""What Kueue's messages contain: the words of its reasons differ between versions and feature gates."""


@dataclass(frozen=True, slots=True)
class QueueWait:
    """reason: the operator's word. message: Kueue's sentence."""

    reason: str
    message: str

    @classmethod
    def parse(cls, workload: Mapping[str, Any] | None) -> Self | None:
        """From the Workload of a suspended Job, {} if it has none; None if it must not be read."""
        if workload is None:
            return None
        if not workload:
            return cls(Reason.WORKLOAD_MISSING, _MISSING)
        conditions = {item["type"]: item for item in workload.get("status", {}).get("conditions") or []}
        if workload.get("spec", {}).get("active", True) is False:
            cause = conditions.get("Evicted", {}).get("message", "")
            remedy = "set spec.active of its Workload to true, or delete the run and apply it again"
            return cls(Reason.DEACTIVATED_BY_QUEUE, _clip(f"the Workload is deactivated: {cause}; {remedy}"))
        reserved = conditions.get("QuotaReserved", {})
        if reserved.get("status") == "True":
            checks = workload["status"].get("admissionChecks") or []
            waiting = [item for item in checks if item.get("state") != "Ready"]
            text = "; ".join(f"{item.get('name')}: {item.get('message') or item.get('state')}" for item in waiting)
            return cls(Reason.QUEUED, _clip(f"admission checks are not ready: {text}")) if text else None
        message = str(reserved.get("message", ""))
        reason = next((reason for mark, reason in _MARKS if mark in message), Reason.QUEUED)
        return cls(reason, _clip(message)) if message else None


def _clip(message: str) -> str:
    return message[:_MAX_MESSAGE]
