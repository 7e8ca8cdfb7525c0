"""The ConfigMap that holds a Job's workload document. Immutable: a running pod must not see another one."""

from typing import Any

from deepsynth_api.labels import Resource
from deepsynth_api.report import Step
from deepsynth_api.workload import Workload
from deepsynth_operator.manifests.child import build_metadata
from deepsynth_operator.manifests.volumes import DOCUMENT_KEY


def build_config_map(resource: Resource, step: Step, job: str, document: Workload) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": build_metadata(resource, step, job),
        "immutable": True,
        "data": {DOCUMENT_KEY: document.to_json()},
    }
