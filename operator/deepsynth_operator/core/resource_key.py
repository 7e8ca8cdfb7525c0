"""The name of a resource: what the work queue hands out and log lines show."""

from typing import NamedTuple

from deepsynth_operator.core.cluster import ResourceKind


class ResourceKey(NamedTuple):
    """Kind, namespace and name, as in `TrainingRun default/read-xsum`."""

    kind: ResourceKind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"
