"""Names of children: deterministic, so that creating twice is harmless, and short enough for every place they reach.

The tightest place is the hostname of an Indexed Job's pod, `<job>-<index>`, at most 63 characters:
45 for the resource's name + 12 for `-publish-999` + 6 for `-99999`.
"""

import hashlib
import re
from typing import Final

from deepsynth_api.labels import Resource
from deepsynth_api.report import Step

BASE_LENGTH: Final = 45
_HASH_LENGTH: Final = 8


def build_job_name(resource: Resource, step: Step, number: int) -> str:
    """Name of the Job, ConfigMap and Service of the `number`-th try (from 1) of `step`.

    The step keeps a TrainingRun and a DatasetGeneration of one name apart.
    """
    return f"{build_base_name(resource.metadata.name, resource.metadata.uid)}-{step}-{number}"


def build_base_name(name: str, uid: str) -> str:
    """`name` as a DNS label of at most 45 characters; one that had to be changed gets a hash of the uid.

    A resource's name may hold dots, begin with a digit and have 253 characters; Services and hostnames allow neither.
    """
    label = name.replace(".", "-")
    if not label[0].isalpha():
        label = f"r-{label}"
    if label == name and len(name) <= BASE_LENGTH:
        return name
    return f"{label[: BASE_LENGTH - _HASH_LENGTH - 1].rstrip('-')}-{_hash(uid)}"


def build_volume_name(claim: str) -> str:
    """Name of the pod's volume for a claim: volume names are labels too, names of claims are not."""
    label = re.sub(r"[^a-z0-9-]", "-", claim)
    if label == claim and len(claim) <= BASE_LENGTH:
        return f"claim-{claim}"
    return f"claim-{label[:BASE_LENGTH].strip('-')}-{_hash(claim)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
