"""Fluent builders of test resources: `a_training_run().with_spec(numNodes=2).labelled({...}).build()`.

They begin with the smallest spec that is valid. Fields are given in camelCase, as a user writes them, and parsed by
the API's types, so a test cannot build a resource that the API would refuse. Builders are immutable: each call
returns another one.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Self, TypeVar

from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun

Resource = TypeVar("Resource", DatasetGeneration, TrainingRun)

UID = "11111111-2222-4333-8444-555555555555"
CREATED = "2026-01-02T03:00:00Z"


@dataclass(frozen=True)
class ResourceBuilder(Generic[Resource]):
    kind: type[Resource]
    spec: Mapping[str, Any]
    metadata: Mapping[str, Any]
    status: Mapping[str, Any] = field(default_factory=dict)

    def named(self, name: str, namespace: str = "default", uid: str = UID) -> Self:
        return replace(self, metadata={**self.metadata, "name": name, "namespace": namespace, "uid": uid})

    def labelled(self, labels: Mapping[str, str]) -> Self:
        return replace(self, metadata={**self.metadata, "labels": dict(labels)})

    def with_metadata(self, **fields: Any) -> Self:
        return replace(self, metadata={**self.metadata, **fields})

    def with_spec(self, **fields: Any) -> Self:
        """Replace top-level fields of the spec."""
        return replace(self, spec={**self.spec, **fields})

    def without(self, *fields: str) -> Self:
        return replace(self, spec={key: value for key, value in self.spec.items() if key not in fields})

    def with_template(self, **fields: Any) -> Self:
        """Replace fields of spec.template."""
        return self.with_spec(template={**self.spec.get("template", {}), **fields})

    def with_status(self, **fields: Any) -> Self:
        return replace(self, status={**self.status, **fields})

    def to_manifest(self) -> dict[str, Any]:
        """The resource as a dict, as a user applies it."""
        document = {"metadata": dict(self.metadata), "spec": deepcopy(dict(self.spec)), "status": dict(self.status)}
        return {"apiVersion": "deepsynth.io/v1alpha1", "kind": self.kind.__name__, **document}

    def build(self) -> Resource:
        return self.kind.model_validate(self.to_manifest())


def _metadata(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "default", "uid": UID, "generation": 1, "creationTimestamp": CREATED}


def a_training_run(name: str = "read-xsum") -> ResourceBuilder[TrainingRun]:
    """One node, no GPU, a tiny model, a dataset and checkpoints on a volume."""
    spec = {
        "model": {"uri": "config://deepseek-ocr2-tiny"},
        "datasets": [{"name": "pages", "uri": "pvc://data/pages"}],
        "checkpoint": {"uri": f"pvc://checkpoints/{name}"},
    }
    return ResourceBuilder(kind=TrainingRun, spec=spec, metadata=_metadata(name))


def a_dataset_generation(name: str = "xsum") -> ResourceBuilder[DatasetGeneration]:
    """The docstrings of Python's standard library, to a volume."""
    spec = {"source": {"uri": "docstrings://"}, "output": {"uri": f"pvc://data/{name}"}}
    return ResourceBuilder(kind=DatasetGeneration, spec=spec, metadata=_metadata(name))
