"""What to do about a resource that has failed: the remedy of its cause, and how it continues."""

from typing import Final

from deepsynth_api.reasons import Reason
from deepsynth_client.interface import Manifest

_IN_THE_FILE: Final = frozenset(
    {
        Reason.BAD_CONFIGURATION,
        Reason.BAD_DATA,
        Reason.CACHE_TOO_SMALL,
        Reason.CHECKPOINT_DOES_NOT_FIT,
        Reason.CHECKPOINT_FOLDER_IN_USE,
        Reason.CHECKPOINT_FOLDER_UNUSABLE,
        Reason.CHECKPOINT_MISSING,
        Reason.DEADLINE_EXCEEDED,
        Reason.INTERNAL_ERROR,
        Reason.INVALID_IMAGE_NAME,
        Reason.MISSING_COLUMN,
        Reason.NON_FINITE_LOSS,
        Reason.OUT_OF_MEMORY,
        Reason.TOO_MANY_SAMPLES_DROPPED,
        Reason.TRACKER_NOT_INSTALLED,
        Reason.WRONG_COLUMN_TYPE,
    }
)
"""Causes that meet an attempt with the same settings again. Others pass by themselves, or are fixed elsewhere."""
_COUNTS: Final = frozenset({Reason.BACKOFF_LIMIT_EXCEEDED, Reason.NO_PROGRESS, Reason.SHARDS_FAILED})
"""Verdicts that only say how often something failed; the cause is that of the last failure."""


def find_remedy(resource: Manifest) -> str:
    """`REASON: what to do about it`, of what a failed resource failed of; empty where there is none."""
    reason = _find_cause(resource)
    return f"{reason}: {reason.remedy}" if reason is not None and reason.remedy else ""


def describe_retry(resource: Manifest, delete: str, apply: str = "apply it") -> str:
    """How a failed resource continues. delete: the command that deletes it. apply: what takes in a changed file."""
    if resource["kind"] != "TrainingRun":
        return f"it is not tried again: fix the cause, delete it (`{delete}`), correct the file and {apply}"
    if _find_cause(resource) not in _IN_THE_FILE:
        return f"once the cause is gone, raise spec.backoffLimit in the file and {apply}: the run continues"
    return (
        f"the same settings would fail again: correct the file and {apply}, and the run continues; if the field cannot "
        f"change, delete the run first (`{delete}`): its checkpoints stay"
    )


def _find_cause(resource: Manifest) -> Reason | None:
    """Of the verdict or, where that only counts failures, of the last failure. None: the words are not DeepSynth's."""
    status = resource.get("status", {})
    verdicts = [item for item in status.get("conditions") or [] if item["type"] == "Failed"]
    last = status.get("attempts", [])[-1:] if resource["kind"] == "TrainingRun" else [status.get("lastFailure") or {}]
    words = [item.get("reason") for item in [*verdicts, *last]]
    known = [reason for word in words for reason in Reason if reason == word]
    return next((reason for reason in known if reason not in _COUNTS), known[0] if known else None)
