"""The two kinds of resources, with their names in the Kubernetes API: one table for all that loops over kinds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from deepsynth_api.v1alpha1 import DatasetGeneration, Resource, TrainingRun

GROUP: Final = "deepsynth.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

ResourceKind = Literal["DatasetGeneration", "TrainingRun"]


@dataclass(frozen=True, slots=True)
class ApiKind:
    """One kind: for `TrainingRun` the plural is `trainingruns`, and `kubectl get trun` knows the short name."""

    name: ResourceKind
    short_name: str
    resource: type[Resource]
    outputs: tuple[str, ...]
    """The fields of its spec whose `uri` it writes to."""

    @property
    def singular(self) -> str:
        return self.name.lower()

    @property
    def plural(self) -> str:
        return f"{self.singular}s"

    @property
    def full_name(self) -> str:
        """Plural and group: the name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"

    @property
    def aliases(self) -> tuple[str, ...]:
        """What `kubectl get` and `deepsynth get` take for it."""
        return self.singular, self.plural, self.full_name, self.short_name


KINDS: Final[Mapping[str, ApiKind]] = {
    kind.name: kind
    for kind in (
        ApiKind("DatasetGeneration", "dsg", DatasetGeneration, ("output",)),
        ApiKind("TrainingRun", "trun", TrainingRun, ("checkpoint", "publish")),
    )
}
"""By the word in a resource's `kind`."""


def list_outputs(resource: Mapping[str, Any]) -> list[str]:
    """The URIs that the resource, as a manifest, writes to; others may read what is below them."""
    fields = [resource["spec"].get(name) or {} for name in KINDS[resource["kind"]].outputs]
    return [field["uri"] for field in fields if field.get("uri")]
