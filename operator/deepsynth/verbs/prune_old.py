"""`deepsynth prune --older-than TIME`: everything of resources that ended longer ago than that.

The resources, what they wrote to volumes and object stores (datasets, checkpoints, models), and on this machine the
logs of their pods.
What a resource that stays writes or reads stays too, and so does what a run which has not ended refers to.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from deepsynth.verbs.names import find_all, format_short_name
from deepsynth.verbs.uses import (
    escape,
    get_key,
    list_folders,
    list_neighbours,
    list_references,
    overlaps,
    warn_trained,
)
from deepsynth_api.kinds import KINDS, list_outputs
from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.progress import has_ended
from deepsynth_client.report.sections import format_bytes


def prune_old(
    resources: Resources, words: Sequence[str], age: timedelta, now: datetime, ask: Callable[[str], bool]
) -> Iterator[str]:
    """Of the resources that are named, or of all. The user sees each with its bytes first, and agrees."""
    here = [item for kind in KINDS for item in resources.list_all(kind)]
    named = find_all(resources, words) if words else here
    everything = list_neighbours(resources)
    needed = {key for item in everything if not has_ended(item) for key in list_references(item)}
    old = [item for item in named if _is_older(item, now - age) and get_key(item) not in needed]
    _check_names(old, here)
    if not old:
        yield f"nothing ended before {now - age:%Y-%m-%d %H:%M}"
        return
    keys = {get_key(item) for item in old}
    others = [item for item in everything if get_key(item) not in keys]
    used = {uri for item in others for uri in list_folders(item)}
    sizes = [(item, _measure(resources, item, used)) for item in old]
    total = format_bytes(sum(size for _, folders in sizes for size in folders.values()))
    lines = [
        line
        for item, folders in sizes
        for line in [*_describe(item, folders), *warn_trained(item, folders, others, resources.open_files(item))]
    ]
    if not ask("\n".join(["these resources and their data will be deleted:", *lines, f"{total:>9}  in all"])):
        yield "nothing was removed"
        return
    for item, folders in sizes:
        resources.open_files(item).remove([*folders])  # first: in a cluster, the pod that does it belongs to the item
        resources.delete(item["kind"], item["metadata"]["name"])
        yield f"{format_short_name(item)} deleted, with {format_bytes(sum(folders.values()))} of data"


def _is_older(resource: Manifest, limit: datetime) -> bool:
    return has_ended(resource) and datetime.fromisoformat(resource["status"]["completionTime"]) < limit


def _check_names(old: Sequence[Manifest], here: Sequence[Manifest]) -> None:
    """Raise InvalidError where a name means several resources, of which `delete` would take the first."""
    counts = Counter((item["kind"], item["metadata"]["name"]) for item in here)
    for item in old:
        if counts[item["kind"], item["metadata"]["name"]] > 1:
            raise InvalidError(f"{format_short_name(item)}: is in several namespaces; choose one with --namespace")


def _measure(resources: Resources, resource: Manifest, used: set[str]) -> dict[str, int]:
    files = resources.open_files(resource)
    return files.measure([escape(uri) for uri in list_outputs(resource) if not overlaps(uri, used, files)])


def _describe(resource: Manifest, folders: dict[str, int]) -> list[str]:
    ended = datetime.fromisoformat(resource["status"]["completionTime"])
    return [
        f"{format_short_name(resource)}, ended {ended:%Y-%m-%d}",
        *(f"{format_bytes(size):>9}  {uri}" for uri, size in folders.items()),
    ]
