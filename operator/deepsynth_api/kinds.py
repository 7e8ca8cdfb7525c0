"""The two kinds of resources, with their names in the Kubernetes API: one table for all that loops over kinds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

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
        ApiKind("DatasetGeneration", "dsg", DatasetGeneration),
        ApiKind("TrainingRun", "trun", TrainingRun),
    )
}
"""By the word in a resource's `kind`."""
