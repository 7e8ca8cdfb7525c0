"""Which TrainingRuns wait for another resource, so that they are reconciled when it changes."""

from collections import defaultdict
from collections.abc import Iterator

from deepsynth_api.conditions import ConditionType
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey


class Referrers:
    """Index from a resource to the TrainingRuns that wait for it."""

    def __init__(self) -> None:
        self._waited_for: dict[ResourceKey, frozenset[ResourceKey]] = {}
        self._waiting: defaultdict[ResourceKey, set[ResourceKey]] = defaultdict(set)
        self._seen: dict[ResourceKey, object] = {}
        """What was last seen of each resource that others wait for: its state and its end, not its progress."""

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

    def find_concerned(self, target: ResourceKey, resource: Manifest | None) -> list[ResourceKey]:
        """The TrainingRuns that wait for `target`, if anything that they wait for has changed since the last call.

        resource: as it is now; None if it is gone.
        """
        found = self.find(target)
        if not found:
            self._seen.pop(target, None)
            return []
        seen = _get_result(resource)
        if target in self._seen and self._seen[target] == seen:
            return []
        self._seen[target] = seen
        return found


def _get_result(resource: Manifest | None) -> object:
    """What those that wait for a resource show of it, or take from it."""
    if resource is None:
        return None
    status = resource.get("status", {})
    ends = [
        (item["type"], item["status"], item.get("message", "") if item["status"] == "True" else "")
        for item in status.get("conditions") or []
        if item["type"] in {ConditionType.COMPLETE, ConditionType.FAILED}
    ]
    return resource["metadata"]["uid"], status.get("state"), ends, status.get("output")


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
