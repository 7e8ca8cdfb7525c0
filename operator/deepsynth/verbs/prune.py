"""`deepsynth prune`: what TrainingRuns that have ended left on volumes and in object stores, and nobody needs.

unfinished saves and damaged checkpoints     of every run that has ended
checkpoints but the newest and the best      of a run that is Complete
features of pages                            of a run that is Complete, if it has spec.cache.features
datasets and models                          of a run that is Complete, if it has spec.cache.uri

What a run that has not ended reads or writes stays: it may continue from a checkpoint, save one now, or share the rest.
So does every folder whose name the trainer does not give: step-2-copy and step-1.bak are a user's.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from deepsynth.verbs.names import find_all, format_short_name
from deepsynth.verbs.uses import get_key, list_folders, list_neighbours, overlaps
from deepsynth_api.workload import FEATURES_FOLDER, INPUTS_FOLDER
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.progress import has_ended
from deepsynth_client.report.sections import format_bytes

LEFTOVERS: Final = ("step-*.tmp-attempt-*", "step-*.corrupt-attempt-*")
"""What may match; _MADE_NAME decides."""
_MADE_NAME: Final = re.compile(
    r"""step-(?P<step>0|[1-9][0-9]{0,17})
    (?P<leftover>\.tmp-attempt-[0-9]+(\.[0-9]+)? | \.(tmp|corrupt)-attempt-([0-9]+|[0-9a-f]{12}))?""",
    re.VERBOSE,
)
"""The names that the trainer gives, in a folder (by number) and in an object store (by twelve hex digits)."""


def prune(resources: Resources, words: Sequence[str], ask: Callable[[str], bool]) -> Iterator[str]:
    """Of the runs that are named, or of all. The user sees each folder with its bytes first, and agrees."""
    found = find_all(resources, words) if words else resources.list_all("TrainingRun")
    ended = [run for run in found if run["kind"] == "TrainingRun" and has_ended(run)]
    active = [item for item in list_neighbours(resources) if not has_ended(item)]
    sizes = [(run, measure(resources, run, active)) for run in ended]
    total = sum(sum(folders.values()) for _, folders in sizes)
    if not any(folders for _, folders in sizes):
        yield "nothing to remove"
        return
    lines = [f"{format_bytes(size):>9}  {uri}" for _, folders in sizes for uri, size in folders.items()]
    if not ask("\n".join(["these folders will be removed:", *lines, f"{format_bytes(total):>9}  in all"])):
        yield "nothing was removed"
        return
    for run, folders in sizes:
        if folders:
            resources.open_files(run).remove([*folders])
            yield f"{format_short_name(run)}: removed {format_bytes(sum(folders.values()))}"


def measure(resources: Resources, run: Manifest, active: Sequence[Manifest]) -> dict[str, int]:
    """Bytes of what can be removed, by URI. active: the resources that have not ended."""
    spec, status = run["spec"], run["status"]
    base = spec["checkpoint"]["uri"].rstrip("/")
    patterns = [f"{base}/{name}" for name in LEFTOVERS]
    if status.get("state") == "Complete":
        cache = spec.get("cache") or {}
        shared = {FEATURES_FOLDER: (cache.get("features") or {}).get("uri"), INPUTS_FOLDER: cache.get("uri")}
        patterns += [f"{base}/step-*", *(f"{uri.rstrip('/')}/{name}" for name, uri in shared.items() if uri)]
    files = resources.open_files(run)
    used = {uri for item in active for uri in list_folders(item)}
    used |= {f"{base}/{name}" for name in _list_asked(run, active)}
    found = {uri: size for uri, size in files.measure(patterns).items() if _is_made(uri)}
    kept = {f"{base}/step-{step}" for step in _list_kept(status)}
    newest = max((uri for uri in found if _get_step(uri) >= 0), key=_get_step, default="")
    return {uri: size for uri, size in found.items() if uri not in {*kept, newest} and not overlaps(uri, used, files)}


def _list_asked(run: Manifest, active: Sequence[Manifest]) -> set[str]:
    """The checkpoints of the run that others will start from, but have not looked up yet."""
    asked = [(item, (item["spec"].get("model") or {}).get("trainingRunRef") or {}) for item in active]
    return {
        reference["checkpoint"]
        for item, reference in asked
        if reference.get("checkpoint")
        and ("TrainingRun", item["metadata"]["namespace"], reference["name"]) == get_key(run)
    }


def _list_kept(status: Manifest) -> set[int]:
    """Steps of the best checkpoint and of the newest, as the status has them."""
    named = [status.get("bestCheckpoint"), *(status.get("checkpoints") or [])[:1]]
    return {checkpoint["step"] for checkpoint in named if checkpoint}


def _is_made(uri: str) -> bool:
    """Whether the trainer gives folders this name, exactly."""
    name = uri.rpartition("/")[2]
    return name in {FEATURES_FOLDER, INPUTS_FOLDER} or _MADE_NAME.fullmatch(name) is not None


def _get_step(uri: str) -> int:
    """Of the folder of a whole checkpoint; -1 for others."""
    made = _MADE_NAME.fullmatch(uri.rpartition("/")[2])
    return int(made["step"]) if made and not made["leftover"] else -1
