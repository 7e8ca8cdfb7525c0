"""`deepsynth prune --older-than TIME`: everything of resources that ended longer ago than that.

The resources, what they wrote to volumes (datasets, checkpoints, models), and on this machine the logs of their pods.
What another resource writes to as well stays, and so does a generation that a run which has not ended refers to.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from deepsynth.verbs.lifecycle import list_outputs
from deepsynth.verbs.names import find_all, format_short_name
from deepsynth_api.kinds import KINDS
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.report.sections import format_bytes


def prune_old(
    resources: Resources, words: Sequence[str], age: timedelta, now: datetime, ask: Callable[[str], bool]
) -> Iterator[str]:
    """Of the resources that are named, or of all. The user sees each with its bytes first, and agrees."""
    everything = [item for kind in KINDS for item in resources.list_all(kind)]
    named = find_all(resources, words) if words else everything
    needed = _list_needed(everything)
    old = [item for item in named if _is_older(item, now - age) and _get_key(item) not in needed]
    if not old:
        yield f"nothing ended before {now - age:%Y-%m-%d %H:%M}"
        return
    used = {uri for item in everything if item not in old for uri in list_outputs(item)}
    sizes = [(item, _measure(resources, item, used)) for item in old]
    total = format_bytes(sum(size for _, folders in sizes for size in folders.values()))
    lines = [line for item, folders in sizes for line in _describe(item, folders)]
    if not ask("\n".join(["these resources and their data will be deleted:", *lines, f"{total:>9}  in all"])):
        yield "nothing was removed"
        return
    for item, folders in sizes:
        resources.open_files(item).remove([*folders])  # first: in a cluster, the pod that does it belongs to the item
        resources.delete(item["kind"], item["metadata"]["name"])
        yield f"{format_short_name(item)} deleted, with {format_bytes(sum(folders.values()))} of data"


def _is_older(resource: Manifest, limit: datetime) -> bool:
    ended = resource.get("status", {}).get("completionTime")
    return bool(ended) and datetime.fromisoformat(ended) < limit


def _list_needed(resources: Sequence[Manifest]) -> set[tuple[str, str]]:
    """The generations and runs that a run which has not ended refers to."""
    waiting = [item for item in resources if not item.get("status", {}).get("completionTime")]
    runs = [item for item in waiting if item["kind"] == "TrainingRun"]
    datasets = [dataset for run in runs for dataset in run["spec"].get("datasets", ())]
    generations = [dataset["datasetGenerationRef"]["name"] for dataset in datasets if "datasetGenerationRef" in dataset]
    bases = [run["spec"]["model"]["trainingRunRef"]["name"] for run in runs if "trainingRunRef" in run["spec"]["model"]]
    return {*(("DatasetGeneration", name) for name in generations), *(("TrainingRun", name) for name in bases)}


def _get_key(resource: Manifest) -> tuple[str, str]:
    return resource["kind"], resource["metadata"]["name"]


def _measure(resources: Resources, resource: Manifest, used: set[str]) -> dict[str, int]:
    return resources.open_files(resource).measure([uri for uri in list_outputs(resource) if uri not in used])


def _describe(resource: Manifest, folders: dict[str, int]) -> list[str]:
    ended = datetime.fromisoformat(resource["status"]["completionTime"])
    return [
        f"{format_short_name(resource)}, ended {ended:%Y-%m-%d}",
        *(f"{format_bytes(size):>9}  {uri}" for uri, size in folders.items()),
    ]
