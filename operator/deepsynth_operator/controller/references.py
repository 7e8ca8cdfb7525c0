"""Which TrainingRuns wait for another resource: they are looked at again when it changes."""

from collections import defaultdict
from collections.abc import Iterator

from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey


class Referrers:
    """From a resource to the TrainingRuns that wait for it."""

    def __init__(self) -> None:
        self._waited_for: dict[ResourceKey, frozenset[ResourceKey]] = {}
        self._waiting: defaultdict[ResourceKey, set[ResourceKey]] = defaultdict(set)

    def note(self, run: Manifest) -> None:
        """Take the present state of a TrainingRun. Once its inputs are pinned, nothing of theirs matters to it."""
        metadata = run["metadata"]
        key = ResourceKey("TrainingRun", metadata["namespace"], metadata["name"])
        self.forget(key)
        if "startTime" not in run.get("status", {}):
            self._waited_for[key] = frozenset(target for _, target in find_references(run))
            for target in self._waited_for[key]:
                self._waiting[target].add(key)

    def forget(self, key: ResourceKey) -> None:
        """The TrainingRun is gone."""
        for target in self._waited_for.pop(key, frozenset()):
            self._waiting[target].discard(key)
            if not self._waiting[target]:
                del self._waiting[target]

    def find(self, target: ResourceKey) -> list[ResourceKey]:
        """The TrainingRuns that wait for `target`."""
        return list(self._waiting.get(target, ()))


def find_references(resource: Manifest) -> Iterator[tuple[str, ResourceKey]]:
    """Every other resource that this one takes its inputs from, with the field that names it; all in its namespace."""
    namespace, spec = resource["metadata"]["namespace"], resource["spec"]
    for index, dataset in enumerate(spec.get("datasets", [])):
        if name := dataset.get("datasetGenerationRef", {}).get("name"):
            field = f"spec.datasets[{index}].datasetGenerationRef.name"
            yield field, ResourceKey("DatasetGeneration", namespace, name)
    if name := spec.get("model", {}).get("trainingRunRef", {}).get("name"):
        yield "spec.model.trainingRunRef.name", ResourceKey("TrainingRun", namespace, name)
