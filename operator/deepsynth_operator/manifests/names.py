"""Names of children: deterministic, so that creating a child twice is harmless, and short enough to be hostnames.

The tightest limit is the hostname of an Indexed Job's pod, `<job>-<index>`, with 63 characters:

    read-xsum  -publish-999  -99999
    45         12            6
"""

import hashlib
import re
from typing import Final

from deepsynth_api.report import StepName
from deepsynth_api.v1alpha1 import Resource

BASE_LENGTH: Final = 45
_HASH_LENGTH: Final = 8


def build_job_name(resource: Resource, step: StepName, number: int) -> str:
    """Name of the Job, ConfigMap and Service of a step; `number` counts its Jobs from 1. Example: read-xsum-train-1.

    The step is part of the name because a TrainingRun and a DatasetGeneration may have the same name.
    """
    return f"{build_base_name(resource.metadata.name, resource.metadata.uid)}-{step}-{number}"


def build_queue_job_name(resource: Resource) -> str:
    """Name of the Job by which a resource with several Jobs waits in its queue. Example: xsum-queue."""
    return f"{build_base_name(resource.metadata.name, resource.metadata.uid)}-queue"


def build_policy_name(resource: Resource) -> str:
    """Name of the NetworkPolicy of a resource. Example: read-xsum-trainingrun."""
    return f"{build_base_name(resource.metadata.name, resource.metadata.uid)}-{resource.kind.lower()}"


def build_base_name(name: str, uid: str) -> str:
    """`name` as a DNS label of at most 45 characters, with a hash of the uid if it had to be changed.

    A resource's name may contain dots, start with a digit and have 253 characters; Services and hostnames allow none of
    these. Example: 7b.xsum -> r-7b-xsum-HASH.
    """
    label = name.replace(".", "-")
    if not label[0].isalpha():
        label = f"r-{label}"
    if label == name and len(name) <= BASE_LENGTH:
        return name
    return f"{label[: BASE_LENGTH - _HASH_LENGTH - 1].rstrip('-')}-{_hash(uid)}"


def build_volume_name(claim: str) -> str:
    """Name of the pod's volume for a claim. It must be a DNS label, which the name of a claim need not be."""
    label = re.sub(r"[^a-z0-9-]", "-", claim)
    if label == claim and len(claim) <= BASE_LENGTH:
        return f"claim-{claim}"
    return f"claim-{label[:BASE_LENGTH].strip('-')}-{_hash(claim)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
