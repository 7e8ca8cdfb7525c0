"""Which TrainingRuns wait for another resource, so that they are reconciled when it changes."""

from collections import defaultdict
from collections.abc import Iterator

from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey


class Referrers:
    """Index from a resource to the TrainingRuns that wait for it."""

    def __init__(self) -> None:
        self._waited_for: dict[ResourceKey, frozenset[ResourceKey]] = {}
        self._waiting: defaultdict[ResourceKey, set[ResourceKey]] = defaultdict(set)

    def note(self, run: Manifest) -> None:
        """Update the index for a TrainingRun. Once it has started, its inputs are pinned and it waits for nothing."""
        metadata = run["metadata"]
        key = ResourceKey("TrainingRun", metadata["namespace"], metadata["name"])
        self.forget(key)
        if "startTime" not in run.get("status", {}):
            self._waited_for[key] = frozenset(target for _, target in find_references(run))
            for target in self._waited_for[key]:
                self._waiting[target].add(key)

    def forget(self, key: ResourceKey) -> None:
        """Remove a TrainingRun that is gone."""
        for target in self._waited_for.pop(key, frozenset()):
            self._waiting[target].discard(key)
            if not self._waiting[target]:
                del self._waiting[target]

    def find(self, target: ResourceKey) -> list[ResourceKey]:
        """The TrainingRuns that wait for `target`."""
        return list(self._waiting.get(target, ()))


def find_references(resource: Manifest) -> Iterator[tuple[str, ResourceKey]]:
    """Every resource in the same namespace that this one takes inputs from, with the field that names it.

    Example: ("spec.datasets[0].datasetGenerationRef.name", DatasetGeneration default/xsum)
    """
    namespace, spec = resource["metadata"]["namespace"], resource["spec"]
    for index, dataset in enumerate(spec.get("datasets", [])):
        if name := dataset.get("datasetGenerationRef", {}).get("name"):
            field = f"spec.datasets[{index}].datasetGenerationRef.name"
            yield field, ResourceKey("DatasetGeneration", namespace, name)
    if name := spec.get("model", {}).get("trainingRunRef", {}).get("name"):
        yield "spec.model.trainingRunRef.name", ResourceKey("TrainingRun", namespace, name)
