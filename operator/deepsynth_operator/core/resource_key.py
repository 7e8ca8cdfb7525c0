"""The identity of a resource: the work queue's key, and how log lines name a resource."""

from typing import NamedTuple

from deepsynth_api.kinds import ResourceKind


class ResourceKey(NamedTuple):
    """Kind, namespace and name. `str()` gives TrainingRun default/read-xsum."""

    kind: ResourceKind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"
