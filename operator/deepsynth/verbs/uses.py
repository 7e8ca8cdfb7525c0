"""Which folders of volumes and object stores resources write, read and refer to.

They must stay when the data of another resource is deleted.
"""

import glob
import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from deepsynth.verbs.names import format_short_name
from deepsynth_api.kinds import KINDS, list_outputs
from deepsynth_client.interface import Files, Manifest, Resources
from deepsynth_client.progress import has_ended

Key = tuple[str, str, str]
_FOLDERS: Final = ("pvc://", "file://", "s3://", "gs://", "az://", "hf://buckets/")
_SAVE: Final = re.compile(r"(step-\d+)-[0-9a-f]{12}")
"""A checkpoint in an object store. Its name in a folder is the first part; see Files."""


def list_neighbours(resources: Resources) -> list[Manifest]:
    """Every resource that sees the same volumes, and may use the same object stores."""
    return [item for kind in KINDS for item in resources.list_neighbours(kind)]


def list_folders(resource: Manifest) -> set[str]:
    """The URI of every folder that its spec and its status name: what it reads and what it writes."""
    return {*_find_folders(resource["spec"]), *_find_folders(resource.get("status", {}))}


def list_references(resource: Manifest) -> Iterator[Key]:
    """The resources that it reads from."""
    namespace, spec = resource["metadata"]["namespace"], resource["spec"]
    for dataset in spec.get("datasets") or ():
        if reference := dataset.get("datasetGenerationRef"):
            yield "DatasetGeneration", namespace, reference["name"]
    if reference := (spec.get("model") or {}).get("trainingRunRef"):
        yield "TrainingRun", namespace, reference["name"]


def get_key(resource: Manifest) -> Key:
    return resource["kind"], resource["metadata"]["namespace"], resource["metadata"]["name"]


def escape(uri: str) -> str:
    """The URI for `Files.measure`, which takes the last part for a pattern."""
    parent, _, name = uri.rstrip("/").rpartition("/")
    return f"{parent}/{glob.escape(name)}"


def overlaps(uri: str, others: Collection[str], files: Files) -> bool:
    """Whether one of the other folders is this one, is in it, or has it in it."""
    own = _list_paths(uri, files)
    return any(
        path[: len(other)] == other[: len(path)]
        for name in others
        for other in _list_paths(name, files)
        for path in own
    )


def find_user(uri: str, others: Sequence[Manifest], owner: Manifest, files: Files) -> str | None:
    """The name of a resource that still needs this folder of `owner`: it writes there too, or it has not ended."""
    for other in others:
        used = list_outputs(other) if has_ended(other) else list_folders(other)
        refers = not has_ended(other) and get_key(owner) in list_references(other)
        if refers or overlaps(uri, used, files):
            return format_short_name(other)
    return None


def warn_trained(owner: Manifest, uris: Collection[str], others: Sequence[Manifest], files: Files) -> list[str]:
    """A line for each complete run that was trained on this data of `owner`: with more steps it would read it again."""
    return [
        f"{format_short_name(other)} (Complete) was trained on it, and cannot continue without it"
        for other in others
        if other.get("status", {}).get("state") == "Complete" and _reads(other, owner, uris, files)
    ]


def _reads(run: Manifest, owner: Manifest, uris: Collection[str], files: Files) -> bool:
    named = [dataset["uri"] for dataset in run["spec"].get("datasets") or () if dataset.get("uri")]
    is_dataset = bool(uris) and owner["kind"] == "DatasetGeneration" and get_key(owner) in list_references(run)
    return is_dataset or any(overlaps(uri, named, files) for uri in uris)


def _find_folders(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(_FOLDERS):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _find_folders(item)


def _list_paths(uri: str, files: Files) -> list[list[str]]:
    """The parts of the URI as it is written; and of the folder itself, which can have several URIs on this machine."""
    scheme, _, rest = uri.partition("://")
    folder = files.find_folder(uri)
    real = [["file", *folder.resolve().parts[1:]]] if folder else []
    parts = [_SAVE.sub(r"\1", part) for part in posixpath.normpath(rest).split("/") if part]
    return [[scheme, *parts], *real]
