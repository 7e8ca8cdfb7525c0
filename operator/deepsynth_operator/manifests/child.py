"""Metadata of every child: labels that select it, and the owner that takes it along when it is deleted."""

from typing import Any

from deepsynth_api.labels import OWNER_NAME_ANNOTATION, Resource, build_labels
from deepsynth_api.report import Step


def build_metadata(resource: Resource, step: Step, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": resource.metadata.namespace,
        "labels": {**resource.spec.template.labels, **build_labels(resource, step)},
        "annotations": {OWNER_NAME_ANNOTATION: resource.metadata.name},
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
